"""One look at the database for all loops that wait for work to become due: idle costs little."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from penstock.core.errors import PenstockServerError
from penstock.services.cancellations import RECENT
from penstock.services.late_runs import LATE_AFTER
from penstock.services.loop import Awake, Loop
from penstock.store.database import Database
from penstock.store.due_work import select_due_work

logger = logging.getLogger(__name__)


async def watch(db: Database, loops: Sequence[Loop], awake: Awake) -> None:
    """Wake those of the loops that have work, for ever. An error is logged and does not end it."""
    while True:
        await asyncio.sleep(awake.EVERY_SECONDS)
        awake.beat(datetime.now(UTC))
        try:
            due = await db.read(
                partial(
                    select_due_work, now=datetime.now(UTC), late_after=LATE_AFTER, recent=RECENT
                )
            )
        except PenstockServerError as e:
            logger.warning("Could not look for due work: %s", e)
        except Exception:  # without it the loops would run at their slow pace only
            logger.exception("Could not look for due work")
        else:
            for loop in loops:
                if loop.name in due and loop.wake is not None:
                    loop.wake.set()
