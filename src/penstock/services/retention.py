"""Forget logs and events that are older than they are kept, a day at a time."""

from datetime import datetime

from penstock.operations.streams import Streams
from penstock.services.loop import Loop
from penstock.store.database import Database
from penstock.store.segments import forget_old_segments

EVERY_SECONDS = 600


def retention_loop(streams: Streams) -> Loop:
    """The loop that drops old days of this server's streams and makes room for tomorrow."""

    async def run_once(db: Database, now: datetime) -> int:
        stores = (streams.logs, streams.events)
        return sum(
            [await forget_old_segments(s, now, keep_days=s.kind.retention_days) for s in stores]
        )

    return Loop("retention", EVERY_SECONDS, run_once)
