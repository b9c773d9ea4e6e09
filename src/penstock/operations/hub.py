"""What happens on this server, told to those who listen: live events, live logs, runs that are due.

Lives in the event loop; nothing here waits for storage.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: what may wait for one subscriber; the rest is dropped
MAX_WAITING = 256
#: events that a listener who asks for the past gets from here, not from the store
MAX_RECENT = 1000
#: a run due later than this needs no timer: whoever polls then looks in the database first
TIMER_SECONDS = 60.0


class Subscription(Generic[T]):
    """What one listener has not taken yet."""

    def __init__(
        self, wants: Callable[[T], bool], wants_name: Callable[[str], bool] | None = None
    ) -> None:
        self._wants = wants
        self._wants_name = wants_name
        self._waiting: deque[T] = deque()
        self._filled = asyncio.Event()
        #: how many were dropped because the listener is slow
        self.dropped = 0

    def offer(self, item: T) -> None:
        """Queue an item the listener wants."""
        if not self._wants(item):
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(item)
        self._filled.set()

    def may_want(self, names: Iterable[str]) -> bool:
        """Whether the listener may want items of one of these names."""
        return self._wants_name is None or any(map(self._wants_name, names))

    async def take(self) -> list[T]:
        """Everything that waits, at least one item."""
        await self._filled.wait()
        self._filled.clear()
        items = list(self._waiting)
        self._waiting.clear()
        return items


class Topic(Generic[T]):
    """A stream of items and its listeners."""

    def __init__(self, recent: int = 0) -> None:
        self._subscriptions: set[Subscription[T]] = set()
        #: the last items, which may not have reached their store yet
        self.recent: deque[T] = deque(maxlen=recent)

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    def may_want(self, names: Sequence[str] | None) -> bool:
        """Whether anybody listens who may want items of one of these names (None: of any)."""
        return any(names is None or s.may_want(names) for s in self._subscriptions)

    def publish(self, items: Sequence[T]) -> None:
        """Offer items to every listener, in order."""
        self.recent.extend(items)
        if not self._subscriptions:
            return
        for item in items:
            for subscription in self._subscriptions:
                subscription.offer(item)

    @contextmanager
    def subscription(
        self, wants: Callable[[T], bool], wants_name: Callable[[str], bool] | None = None
    ) -> Iterator[Subscription[T]]:
        """Listen inside the block to the items that `wants` says yes to.

        `wants_name` says no to names of which `wants` wants no item, so that none is fetched.
        """
        subscription = Subscription(wants, wants_name)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


class Waiter:
    """Somebody who waits for runs of a few work queues."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    @property
    def is_woken(self) -> bool:
        """Whether a run became due that this waiter has not looked for yet."""
        return self._woken.is_set()

    def wake(self) -> None:
        """Say that a run is due."""
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """True once a run is due; False after so many seconds without one."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


#: by the queue they wait for
Waiters = dict[Hashable, deque[Waiter]]


class DueRuns:
    """Wakes who waits for runs: one waiter per run that becomes due, first come, first served.

    A queue is named by its id; runs of tasks in the background wait in one queue per task key.
    """

    def __init__(self) -> None:
        self._waiters: Waiters = {}
        self._slot_waiters: Waiters = {}

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters or self._slot_waiters)

    @contextmanager
    def waiter(
        self, queue_ids: Iterable[Hashable], slot_queue_ids: Iterable[Hashable] = ()
    ) -> Iterator[Waiter]:
        """Wait inside the block for runs of these queues, and for slots that those queues free.

        Enter it before looking in the database, so that a run that comes in between is not missed.
        A wake-up that was not used goes to the next waiter.
        """
        ids, slot_ids = list(queue_ids), list(slot_queue_ids)
        waiter = Waiter()
        _join(self._waiters, ids, waiter)
        _join(self._slot_waiters, slot_ids, waiter)
        try:
            yield waiter
        finally:
            _leave(self._waiters, ids, waiter)
            _leave(self._slot_waiters, slot_ids, waiter)
            if waiter.is_woken:
                self._pass_on(ids)

    async def wait_due(self, queue_ids: Iterable[Hashable], seconds: float) -> bool:
        """True once a run of these queues is due; False after so many seconds without one."""
        with self.waiter(queue_ids) as waiter:
            return await waiter.wait(seconds)

    def wake(self, queue_id: Hashable, at: datetime | None, now: datetime) -> None:
        """A run of that queue is due at that time (None: now)."""
        wait = 0.0 if at is None else (at - now).total_seconds()
        if wait <= 0:
            self._wake_one(queue_id)
        elif wait <= TIMER_SECONDS:
            asyncio.get_running_loop().call_later(wait, self._wake_one, queue_id)

    def wake_all(self, queue_ids: Iterable[Hashable]) -> None:
        """These queues have changed: all who wait for them look again."""
        for id in queue_ids:
            for waiter in self._waiters.get(id, ()):
                waiter.wake()

    def free_slot(self, queue_id: Hashable) -> None:
        """A run of that queue has given its slot back: one who waits for that looks again."""
        for waiter in self._slot_waiters.get(queue_id, ()):
            if not waiter.is_woken:
                waiter.wake()
                return

    def _wake_one(self, queue_id: Hashable) -> bool:
        for waiter in self._waiters.get(queue_id, ()):
            if not waiter.is_woken:
                waiter.wake()
                return True
        return False

    def _pass_on(self, queue_ids: list[Hashable]) -> None:
        for id in queue_ids:
            if self._wake_one(id):
                return


def _join(lines: Waiters, ids: Iterable[Hashable], waiter: Waiter) -> None:
    for id in ids:
        lines.setdefault(id, deque()).append(waiter)


def _leave(lines: Waiters, ids: Iterable[Hashable], waiter: Waiter) -> None:
    for id in ids:
        lines[id].remove(waiter)
        if not lines[id]:
            del lines[id]


class Hub:
    """The one of this server."""

    def __init__(self) -> None:
        #: events as the wire has them
        self.events: Topic[dict[str, Any]] = Topic(MAX_RECENT)
        #: log lines as the wire has them
        self.logs: Topic[dict[str, Any]] = Topic()
        self.due = DueRuns()
        #: runs of tasks in the background, for task workers
        self.due_tasks = DueRuns()
