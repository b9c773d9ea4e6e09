"""Make the runs of schedules ahead of time: enough of them, each time of a schedule once."""

from datetime import datetime
from functools import partial

from penstock.operations.schedules import create_scheduled_runs, prepare_scheduled_runs
from penstock.store.database import Database
from penstock.store.schedules import select_schedules_to_replenish


async def schedule_runs(db: Database, now: datetime) -> int:
    """Replenish every schedule that needs it; how many runs were made."""
    made = 0
    for schedule in await db.read(partial(select_schedules_to_replenish, now=now)):
        prepare = partial(prepare_scheduled_runs, schedule=schedule, now=now)
        made += await db.prepare_and_write(prepare, create_scheduled_runs)
    return made
