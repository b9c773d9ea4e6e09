"""Fans out what units of work have told: to those who listen now, and into the event store.

SQLite: what was told is at hand after each commit; the outbox rows serve after a crash.
PostgreSQL: each server reads the outbox from a place of its own and tells its own listeners, also
of what clients sent to the others; the one with the lease stores the events and removes rows that
every server has had time to read.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from penstock.core.errors import PenstockServerError
from penstock.operations.hub import Hub
from penstock.operations.streams import Streams
from penstock.services.loop import Leases
from penstock.services.taken_in import TakenInElsewhere
from penstock.services.teller import RETRY_SECONDS, EventKeeper, Teller
from penstock.store.database import Database
from penstock.store.engines.notices import Notices, end_tasks
from penstock.store.outbox import (
    MAX_ROWS,
    Told,
    delete_settled,
    delete_told,
    is_unsettled,
    select_settled_place,
    select_untold,
)
from penstock.store.taken_in import TAKEN_IN_EVENTS, TAKEN_IN_LOGS
from penstock.store.transaction import Transaction

logger = logging.getLogger(__name__)

LEASE = "fan-out"
DELETE_SECONDS = 1.0
#: how often a server looks into the outbox when nobody has told it to
SAFETY_SECONDS = 5.0
#: how soon it looks again when there are rows whose turn has not come
UNSETTLED_SECONDS = 0.05
#: how long a row stays, so that every server can read it
KEEP_SECONDS = 60.0

TAKEN_IN = (TAKEN_IN_EVENTS, TAKEN_IN_LOGS)

Place = tuple[int, int]
BEGINNING: Place = (0, 0)


class LocalFanOut:
    """The fan-out of the only server on a SQLite database."""

    def __init__(self, db: Database, streams: Streams) -> None:
        self._db = db
        self._teller = Teller(db, streams.hub)
        self._keeper = EventKeeper(streams, 0)
        self._told: deque[Told] = deque()
        self._new = asyncio.Event()
        self._removed = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """First tell what an earlier server left behind, then what comes inside the block."""
        await self._tell_leftovers()
        self._db.subscribers.append(self._on_commit)
        work = (self._publish(), self._keeper.run(), self._keep_removing())
        tasks = [asyncio.create_task(w) for w in work]
        try:
            yield
        finally:
            self._db.subscribers.remove(self._on_commit)
            await end_tasks(tasks)
            await self._publish_waiting()
            await self._keeper.finish()
            await self._remove()

    def _on_commit(self, told: list[Told]) -> None:
        self._told.extend(told)
        self._new.set()
        self._teller.wake(told)

    async def _tell_leftovers(self) -> None:
        last = 0
        while told := await self._db.read(partial(select_untold, after=last)):
            last = told[-1].seq
            self._told.extend(told)
            await self._publish_waiting()
            await self._keeper.finish()
        await self._remove()

    async def _publish(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            try:
                await self._publish_waiting()
            except Exception as e:  # to stop would leave everything untold from now on
                _report("Events cannot be told now", e)
                await asyncio.sleep(RETRY_SECONDS)
                self._new.set()

    async def _publish_waiting(self) -> None:
        told = list(self._told)
        if told:
            events = await self._teller.publish(told)
            for _ in told:
                self._told.popleft()
            self._keeper.add(events, told[-1].seq)

    async def _keep_removing(self) -> None:
        while True:
            await self._keeper.moved.wait()
            await asyncio.sleep(DELETE_SECONDS)
            try:
                await self._remove()
            except Exception as e:  # as above
                _report("Told rows stay in the outbox for now", e)

    async def _remove(self) -> None:
        self._keeper.moved.clear()
        stored = self._keeper.stored
        if stored > self._removed:
            await self._db.write(partial(delete_told, up_to=stored))
            self._removed = stored


class SharedFanOut:
    """The fan-out of one of several servers on a PostgreSQL database."""

    def __init__(self, db: Database, streams: Streams) -> None:
        self._db = db
        self._streams = streams
        self._elsewhere = TakenInElsewhere(db, streams)
        self._teller = Teller(db, streams.hub, self._elsewhere)
        self._notices = Notices(db.url, self._look)
        self._leases = Leases(db, [LEASE])
        self._keeper: EventKeeper[Place] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._new = asyncio.Event()
        self._place: Place = BEGINNING
        #: places up to which events were stored, and when that was seen
        self._reached: deque[tuple[float, Place]] = deque()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell what comes inside the block; store it while this server has the lease."""
        self._place = await self._db.read(select_settled_place)
        await self._leases.start()
        self._db.subscribers.append(self._on_commit)
        self._notices.start()
        work = (self._leases.keep(), self._run(), self._elsewhere.publish_lines())
        tasks = [asyncio.create_task(w) for w in work]
        try:
            yield
        finally:
            self._db.subscribers.remove(self._on_commit)
            await end_tasks(tasks)
            await self._notices.stop()
            await self._tell_new()
            if self._keeper is not None:
                await self._stop_keeping()
            await self._leases.release()

    def _on_commit(self, told: list[Told]) -> None:
        if all(t.kind in TAKEN_IN for t in told):
            self._notices.tell_in_time()
            return
        self._notices.tell()
        self._teller.wake(told, early=True)

    def _look(self) -> None:
        self._new.set()

    async def _run(self) -> None:
        while True:
            self._new.clear()
            pause = SAFETY_SECONDS
            try:
                await self._take_or_leave_keeping()
                if await self._tell_new():
                    pause = UNSETTLED_SECONDS
                await self._remove_old()
            except Exception as e:  # to stop would leave everything untold from now on
                _report("The outbox cannot be read now", e)
                await asyncio.sleep(RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._new.wait()

    async def _tell_new(self) -> bool:
        """Tell what is new; whether there is more, whose turn comes when others have committed."""
        while True:
            told, unsettled = await self._db.read(partial(_news, place=self._place))
            if not told:
                return unsettled
            self._teller.wake(told)
            events = await self._teller.publish(told)
            self._elsewhere.hear_lines(told)
            self._place = _place_of(told)
            if self._keeper is not None:
                self._keeper.add(events, self._place)
            if len(told) < MAX_ROWS:
                return unsettled

    async def _read_after(self, place: Place) -> list[Told]:
        xid, seq = place
        return await self._db.read(partial(select_untold, after=seq, after_xid=xid))

    async def _take_or_leave_keeping(self) -> None:
        held = self._leases.held_since(LEASE) is not None
        if held and self._keeper is None:
            await self._start_keeping()
        elif not held and self._keeper is not None:
            await self._stop_keeping()

    async def _start_keeping(self) -> None:
        """Store what the server before may not have stored, then what comes."""
        keeper = EventKeeper(self._streams, BEGINNING)
        silent = Teller(self._db, Hub())
        place = BEGINNING
        while place < self._place and (told := await self._read_after(place)):
            told = [t for t in told if (t.xid, t.seq) <= self._place]
            if not told:
                break
            place = _place_of(told)
            keeper.add(await silent.publish(told), place)
        self._keeper = keeper
        self._keeping = asyncio.create_task(keeper.run())

    async def _stop_keeping(self) -> None:
        assert self._keeper is not None
        assert self._keeping is not None
        await end_tasks([self._keeping])
        await self._keeper.finish()
        self._keeper = self._keeping = None
        self._reached.clear()

    async def _remove_old(self) -> None:
        if self._keeper is None:
            return
        time = asyncio.get_running_loop().time()
        if not self._reached or time - self._reached[-1][0] >= DELETE_SECONDS:
            self._reached.append((time, self._keeper.stored))
        old = None
        while self._reached and time - self._reached[0][0] >= KEEP_SECONDS:
            old = self._reached.popleft()[1]
        if old is not None and old > BEGINNING:
            remove = partial(delete_settled, xid=old[0], seq=old[1])
            await self._db.write(remove, one_statement=True)


def _report(what: str, error: Exception) -> None:
    if isinstance(error, PenstockServerError):
        logger.warning("%s: %s", what, error)
    else:
        logger.error(what, exc_info=error)


def _news(tx: Transaction, place: Place) -> tuple[list[Told], bool]:
    # Asked first: what commits in between is either read or announced by a notice.
    unsettled = is_unsettled(tx)
    xid, seq = place
    return select_untold(tx, after=seq, after_xid=xid), unsettled


def _place_of(told: list[Told]) -> Place:
    return told[-1].xid, told[-1].seq


def fan_out(db: Database, streams: Streams) -> LocalFanOut | SharedFanOut:
    """The fan-out for that database; `async with fan_out(db, streams).running():`."""
    return SharedFanOut(db, streams) if db.is_postgres else LocalFanOut(db, streams)
