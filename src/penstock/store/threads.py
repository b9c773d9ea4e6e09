"""Threads that own connections, and the way their results come back to the event loop."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

logger = logging.getLogger(__name__)


class Completions:
    """Hands results from threads to the event loop; many results share one wake-up of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._scheduled = False

    def call(self, callback: Callable[..., None], *args: Any) -> None:
        """Run `callback(*args)` in the event loop, soon. Safe from any thread."""
        self._waiting.append((callback, args))
        if not self._scheduled:
            self._scheduled = True
            # RuntimeError: the loop is closed, so nobody waits for the answer any more.
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                self._waiting.clear()

    def _deliver(self) -> None:
        self._scheduled = False  # before draining: what is added from now on schedules anew
        waiting = self._waiting
        while waiting:
            callback, args = waiting.popleft()
            try:
                callback(*args)
            except Exception:  # one result that cannot be handed over must not keep the others
                logger.exception("A result of the database could not be handed over")


def answer(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    """Settle a future unless its caller has gone away."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class ThreadTeam:
    """A few threads that take jobs from one queue, each with a connection of its own.

    `connect` makes the connection, `work(connection, job)` does a job and returns the connection to
    use for the next one (None when it has to be made anew), `close` ends it.
    """

    def __init__(
        self,
        name: str,
        size: int,
        work: Callable[[Any, Any], Any],
        close: Callable[[Any], None],
    ) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._work = work
        self._close = close
        self._name = name
        self._size = size
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return self._queue.qsize()

    def submit(self, job: Any) -> None:
        """Queue a job; a further thread is started when all are busy."""
        self._queue.put(job)
        if len(self._threads) < self._size and self._idle < self._queue.qsize():
            self._grow()

    def stop(self) -> None:
        """Finish what is queued, then end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _grow(self) -> None:
        with self._lock:
            if len(self._threads) >= self._size:
                return
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        connection = None
        while True:
            self._idle += 1
            job = self._queue.get()
            self._idle -= 1
            if job is None:
                break
            connection = self._work(connection, job)
        if connection is not None:
            self._close(connection)
