"""Make the runs of schedules ahead of time: enough of them, each time of a schedule once."""

import logging
from datetime import datetime
from functools import partial

from penstock.core.errors import Unavailable
from penstock.operations.schedules import create_scheduled_runs, prepare_scheduled_runs
from penstock.store.database import Database
from penstock.store.schedules import select_schedules_to_replenish

logger = logging.getLogger(__name__)


async def schedule_runs(db: Database, now: datetime) -> int:
    """Replenish every schedule that needs it; how many runs were made."""
    made = 0
    for schedule in await db.read(partial(select_schedules_to_replenish, now=now)):
        prepare = partial(prepare_scheduled_runs, schedule=schedule, now=now)
        try:
            made += await db.prepare_and_write(prepare, create_scheduled_runs)
        except Unavailable:
            raise
        except Exception:  # the others must not wait for a schedule that makes trouble
            logger.exception("No runs could be made for schedule %s", schedule.id)
    return made
