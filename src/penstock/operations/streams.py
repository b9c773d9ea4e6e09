"""Logs and events on their way: to those who listen now, and into their stores."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

from penstock.contract.rest.logs import LogCreate
from penstock.operations.hub import Hub
from penstock.store.database import Database
from penstock.store.events import event_rows, insert_events
from penstock.store.grouped import GroupedRows
from penstock.store.logs import insert_logs, live_log_shapes, log_rows
from penstock.store.segments import EVENTS, LOGS, SegmentStore, open_segments


class Streams:
    """The hub and the two stores of this server."""

    def __init__(self, logs: SegmentStore, events: SegmentStore) -> None:
        self.hub = Hub()
        self.logs = logs
        self.events = events
        self._new_logs = GroupedRows(self._insert_logs)
        self._new_events = GroupedRows(self._insert_events)

    async def create_logs(self, lines: Sequence[LogCreate], now: datetime) -> None:
        """Publish log lines and store them; returns when they are committed."""
        if self.hub.logs:
            self.hub.logs.publish(live_log_shapes(lines, now))
        await self._new_logs.add(log_rows(lines, now, self.logs.dialect), now)

    async def store_events(self, events: Sequence[dict[str, Any]], now: datetime) -> None:
        """Store events (as the wire has them); returns when they are committed."""
        await self._new_events.add(event_rows(self.events, events, now), now)

    async def close(self) -> None:
        """Write what waits, close the stores."""
        await self._new_logs.close()
        await self._new_events.close()
        await self.logs.close()
        await self.events.close()

    async def _insert_logs(self, rows: list[Any], now: datetime) -> None:
        await self.logs.write(partial(insert_logs, rows=rows), now)

    async def _insert_events(self, rows: list[Any], now: datetime) -> None:
        await self.events.write(partial(insert_events, rows=rows), now)


@asynccontextmanager
async def open_streams(db: Database, now: datetime) -> AsyncIterator[Streams]:
    """The streams are open inside the block; leave it before the database is closed."""
    streams = Streams(await open_segments(db, LOGS), await open_segments(db, EVENTS))
    try:
        await streams.logs.prepare(now)
        await streams.events.prepare(now)
        yield streams
    finally:
        await streams.close()
