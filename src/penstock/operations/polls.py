"""Polls: noting that queues are polled, and waiting for a run to become due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from penstock.core.errors import PenstockServerError
from penstock.operations.deployment_events import tell_deployment
from penstock.operations.hub import DueRuns, Waiter
from penstock.operations.work_pool_events import tell_queues_and_deployments
from penstock.store import work_queues as store
from penstock.store.database import Database
from penstock.store.due_runs import FoundRuns
from penstock.store.transaction import Transaction

#: how often it is written down that a queue is polled
NOTE_EVERY = timedelta(seconds=15)
#: how long notes wait for others to be written with
GATHER_SECONDS = 1.0
#: queues whose polls are remembered
REMEMBERED = 5_000
#: deployments whose polls one unit of work notes at most
CHUNK = 500
#: a waiting poll looks again after so long: for new queues, and to be noted as a poll
LOOK_AGAIN_SECONDS = 20.0
#: the same while something else than time holds runs back, of which a wake-up may not come
HELD_BACK_SECONDS = 5.0

logger = logging.getLogger(__name__)

Look = Callable[[], Awaitable[FoundRuns]]


class Polls:
    """Notes which queues are polled, without writing at every poll."""

    def __init__(self, db: Database) -> None:
        self._db = db
        #: when it was last written down of each queue
        self._noted: dict[UUID, datetime] = {}
        self._waiting: set[UUID] = set()
        self._writing: asyncio.Task[None] | None = None

    async def note(self, found: FoundRuns) -> None:
        """Note a poll. Returns once that is written when it made queues READY, else at once."""
        now, fresh = found.at, found.not_ready
        if fresh:
            self._remember(fresh, now)
            await self._write(fresh, now)
        old = [id for id in found.queue_ids if self._is_old(id, now)]
        if not old:
            return
        self._remember(old, now)
        self._waiting.update(old)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_soon(now))

    async def close(self) -> None:
        """Write nothing more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def _is_old(self, id: UUID, now: datetime) -> bool:
        noted = self._noted.get(id)
        return noted is None or now - noted >= NOTE_EVERY

    def _remember(self, ids: Sequence[UUID], now: datetime) -> None:
        if len(self._noted) > REMEMBERED:
            self._noted = {i: at for i, at in self._noted.items() if now - at < NOTE_EVERY}
        self._noted.update(dict.fromkeys(ids, now))

    async def _write_soon(self, now: datetime) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        ids, self._waiting = list(self._waiting), set()
        self._writing = None
        await self._write(ids, now)

    async def _write(self, ids: Sequence[UUID], now: datetime) -> None:
        try:
            await self._db.write(partial(mark_polled, queue_ids=ids, now=now))
        except PenstockServerError as e:
            # The poll itself is answered; the next one tries again.
            for id in ids:
                self._noted.pop(id, None)
            logger.warning("Polls could not be noted: %s", e)


def mark_polled(tx: Transaction, queue_ids: Sequence[UUID], now: datetime) -> None:
    """Note that queues were polled; those that were NOT_READY, and their deployments, are READY."""
    became_ready = store.mark_queues_polled(tx, queue_ids, now)
    tell_queues_and_deployments(tx, became_ready, "ready", now)


async def note_polls_of_deployments(db: Database, ids: Sequence[UUID], now: datetime) -> None:
    """Note that these deployments were polled by themselves, a bounded number at a time."""
    for start in range(0, len(ids), CHUNK):
        await db.write(partial(mark_deployments_polled, ids=ids[start : start + CHUNK], now=now))


def mark_deployments_polled(tx: Transaction, ids: Sequence[UUID], now: datetime) -> None:
    """Note that deployments were polled; those that were NOT_READY are READY."""
    for id in store.mark_deployments_polled(tx, ids, now):
        tell_deployment(tx, id, "ready", now)


class LongPoll:
    """A poll that waits for a run to become due, as long as its client does."""

    def __init__(self, look: Look, due: DueRuns, gone: asyncio.Task[None]) -> None:
        self._look = look
        self._due = due
        self._gone = gone

    async def wait(self, found: FoundRuns, seconds: float) -> FoundRuns:
        """What is found once there is something, or when the time is over or the client gone.

        `found` is what a first look has found: nothing.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            with self._due.waiter(found.queue_ids, found.slot_queue_ids) as waiter:
                # Looking again after joining the waiters: no run is missed in between.
                found = await self._look()
                left = end - loop.time()
                if self._gone.done() and found.runs:
                    waiter.wake()  # for the next in the line
                if self._gone.done() or found.runs or left <= 0:
                    return found
                if await self._is_woken(waiter, min(left, _patience(found))):
                    waiter.wake()

    async def _is_woken(self, waiter: Waiter, seconds: float) -> bool:
        """Wait; whether a wake-up came that nobody can use because the client is gone."""
        waiting = asyncio.create_task(waiter.wait(seconds))
        await asyncio.wait({waiting, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if not self._gone.done():
            return False
        waiting.cancel()
        woken = await asyncio.gather(waiting, return_exceptions=True)
        return woken[0] is True


def _patience(found: FoundRuns) -> float:
    """Seconds until another look makes sense even without a wake-up."""
    seconds = LOOK_AGAIN_SECONDS
    if found.slot_queue_ids or found.is_paused:
        seconds = HELD_BACK_SECONDS
    if found.next_at is not None:
        seconds = min(seconds, (found.next_at - found.at).total_seconds())
    return max(0.0, seconds)
