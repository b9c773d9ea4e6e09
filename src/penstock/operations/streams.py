"""Logs and events on their way: to those who listen now, and into their stores."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from penstock.contract.rest.events import Event
from penstock.contract.rest.logs import LogCreate
from penstock.core.attempts import heartbeat_of
from penstock.core.errors import InvalidInput
from penstock.core.task_run_reports import TaskRunReport, read_task_run_report
from penstock.operations.attempts import Heartbeat, hear_heartbeats
from penstock.operations.hub import Hub
from penstock.operations.task_runs import record_task_run_events, refuse_lost_attempt
from penstock.store.database import Database
from penstock.store.events import event_rows, insert_events
from penstock.store.grouped import GroupedRows
from penstock.store.logs import live_log_shapes, log_rows, new_numbering
from penstock.store.segments import EVENTS, LOGS, SegmentStore, open_segments
from penstock.store.taken_in import take_in_events, take_in_logs

#: ids of events that were taken in lately (a client that lost its connection sends them again),
#: and runs whose heartbeats are known
MAX_REMEMBERED = 10_000


class NewEvent(NamedTuple):
    """An event that has just come in."""

    #: as the wire has it
    shape: dict[str, Any]
    #: what it says of a task run; None for other events
    report: TaskRunReport | None


def new_event(event: Event, now: datetime) -> NewEvent:
    """A client's event, read. Raises InvalidInput when it reports a task run in vain."""
    shape = {
        "occurred": event["occurred"],
        "event": event["event"],
        "resource": event["resource"],
        "related": event.get("related", []),
        "payload": event.get("payload", {}),
        "id": event["id"],
        "follows": event.get("follows"),
        "received": now,
    }
    return NewEvent(shape, read_task_run_report(shape))


class Streams:
    """The hub and the two stores of this server."""

    def __init__(self, db: Database, logs: SegmentStore, events: SegmentStore) -> None:
        #: names this server to the others on its database
        self.id = uuid4()
        self.hub = Hub()
        self._db = db
        self.logs = logs
        self.events = events
        self._new_logs = GroupedRows(self._insert_logs)
        self._new_events = GroupedRows(self._take_in_events)
        self._made_events = GroupedRows(self._insert_events)
        self._taken_in: dict[UUID, None] = {}
        #: ids of events that other servers took in lately
        self._taken_in_elsewhere: dict[UUID, None] = {}
        #: when the last heartbeat of a flow run was sent that this server knows
        self._heard: dict[UUID, datetime] = {}

    async def create_logs(self, lines: Sequence[LogCreate], now: datetime) -> None:
        """Publish log lines and store them; returns when they are committed."""
        numbering = new_numbering(now)
        if self.hub.logs:
            self.hub.logs.publish(live_log_shapes(lines, numbering))
        await self._new_logs.add(log_rows(lines, now, self.logs.dialect, numbering), now)

    async def create_events(
        self, events: Sequence[Event], now: datetime, attempt: UUID | None = None
    ) -> None:
        """Take in what a client sent, as `take_in` does.

        Raises InvalidInput when an event that reports a task run cannot be read.
        """
        new = []
        for i, event in enumerate(events):
            try:
                new.append(new_event(event, now))
            except InvalidInput as e:
                raise InvalidInput(e.message, ("body", i, *e.loc)) from None
        await self.take_in(new, now, attempt)

    async def take_in(
        self, events: Sequence[NewEvent], now: datetime, attempt: UUID | None = None
    ) -> None:
        """Record task runs, store, publish; returns when committed. Again the same: no effect.

        Raises Gone, and takes nothing in, when `attempt` no longer executes the events' flow run
        (one that is lost in this very moment may leave events, but no task runs or states).
        """
        reports = [e.report for e in events if e.report is not None]
        if attempt is not None and reports:
            await self._db.read(partial(refuse_lost_attempt, reports=reports, attempt=attempt))
        new = {e.shape["id"]: e for e in events if e.shape["id"] not in self._taken_in}
        shapes = [e.shape for e in new.values()]
        reports = [e.report for e in new.values() if e.report is not None]
        rows = event_rows(self.events, shapes, now)
        # Side by side: they go to two files, whose writers wait for the disk in threads. When one
        # fails, the client sends all of it again, and what is there already stays as it is.
        writes: list[Awaitable[None]] = []
        if reports:
            record = partial(record_task_run_events, reports=reports, now=now, attempt=attempt)
            writes.append(self._db.write(record))
        heartbeats = self._heartbeats(shapes)
        if heartbeats:
            writes.append(self._db.write(partial(hear_heartbeats, heartbeats=heartbeats, now=now)))
        await asyncio.gather(*writes, self._new_events.add(rows, now))
        self._remember(new)
        elsewhere = self._taken_in_elsewhere
        self.hub.events.publish([s for s in shapes if s["id"] not in elsewhere])

    def _heartbeats(self, shapes: Sequence[dict[str, Any]]) -> list[Heartbeat]:
        found = []
        for shape in shapes:
            run_id = heartbeat_of(shape)
            if run_id is not None:
                sent, previous = shape["occurred"], self._heard.pop(run_id, None)
                found.append(Heartbeat(run_id, sent, previous))
                self._heard[run_id] = sent
        _forget_oldest(self._heard)
        return found

    def _remember(self, ids: Iterable[UUID]) -> None:
        self._taken_in |= dict.fromkeys(ids)
        _forget_oldest(self._taken_in)

    def hear_of(self, ids: Iterable[UUID]) -> list[UUID]:
        """Another server has taken in these events; those that listeners here know nothing of.

        A client that lost its connection may send an event again, to a second server.
        """
        here, elsewhere = self._taken_in, self._taken_in_elsewhere
        new = [id for id in ids if id not in here and id not in elsewhere]
        elsewhere |= dict.fromkeys(new)
        _forget_oldest(self._taken_in_elsewhere)
        return new

    def forget(self, ids: Iterable[UUID]) -> None:
        """These events, which another server has taken in, have not been told here after all."""
        for id in ids:
            self._taken_in_elsewhere.pop(id, None)

    async def store_events(self, events: Sequence[dict[str, Any]], now: datetime) -> None:
        """Store events the server made (as the wire has them); returns when they are committed."""
        await self._made_events.add(event_rows(self.events, events, now), now)

    async def close(self) -> None:
        """Write what waits, close the stores."""
        await self._new_logs.close()
        await self._new_events.close()
        await self._made_events.close()
        await self.logs.close()
        await self.events.close()

    async def _insert_logs(self, rows: list[Any], now: datetime) -> None:
        await self.logs.write(partial(take_in_logs, rows=rows, server=self.id), now)

    async def _take_in_events(self, rows: list[Any], now: datetime) -> None:
        await self.events.write(partial(take_in_events, rows=rows, server=self.id), now)

    async def _insert_events(self, rows: list[Any], now: datetime) -> None:
        await self.events.write(partial(insert_events, rows=rows), now)


def _forget_oldest(known: dict[UUID, Any]) -> None:
    for id in list(islice(known, max(0, len(known) - MAX_REMEMBERED))):
        del known[id]


@asynccontextmanager
async def open_streams(db: Database, now: datetime) -> AsyncIterator[Streams]:
    """The streams are open inside the block; leave it before the database is closed."""
    streams = Streams(db, await open_segments(db, LOGS), await open_segments(db, EVENTS))
    try:
        await streams.logs.prepare(now)
        await streams.events.prepare(now)
        yield streams
    finally:
        await streams.close()
