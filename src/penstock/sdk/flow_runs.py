"""One flow run while this process executes it: its body, its tasks, its reports."""

from __future__ import annotations

import _thread
import contextlib
import itertools
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Token
from typing import TYPE_CHECKING, Any

from penstock.sdk.attempts import Attempt, renewer
from penstock.sdk.context import current_flow_run, current_task_run
from penstock.sdk.errors import (
    RunCancelled,
)
from penstock.sdk.futures import TaskFuture
from penstock.sdk.reporter import Reporter
from penstock.sdk.run_logs import get_run_logger, prints_are_logged
from penstock.sdk.task_events import related_resources
from penstock.sdk.timeouts import raise_in_thread
from penstock.sdk.tracebacks import traceback_of_user_code

if TYPE_CHECKING:
    import asyncio

    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow


class LiveFlowRun:
    """A flow run while this process executes it: the context of its tasks and log lines."""

    def __init__(
        self,
        flow: Flow[Any, Any],
        parameters: dict[str, Any],
        client: Client,
        *,
        stored: dict[str, Any] | None = None,
        attempt_id: str | None = None,
    ) -> None:
        self.flow = flow
        self.parameters = parameters
        self.client = client
        #: the run as the server has it; None until it is created
        self.stored = stored
        #: this process's own attempt; None when a worker renews for it
        self.attempt = None if attempt_id else Attempt(client, self.interrupt)
        self.attempt_id = attempt_id or (self.attempt.id if self.attempt else None)
        self.reporter = Reporter(client, self.attempt_id)
        self.run_count = int(stored["run_count"]) if stored else 0
        #: why the body is being interrupted: CANCELLING, LOST or TERMINATED
        self.interrupted: str | None = None
        self.futures: list[TaskFuture[Any]] = []
        #: the keys of the pauses still to come in this execution
        self.pause_numbers = itertools.count(1)
        self._task_numbers: dict[str, Iterator[int]] = defaultdict(itertools.count)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._stop_body: Callable[[], None] | None = None

    @property
    def id(self) -> str:
        """The run's id as text."""
        assert self.stored is not None
        return str(self.stored["id"])

    @property
    def name(self) -> str:
        """The run's name."""
        assert self.stored is not None
        return str(self.stored["name"])

    def adopt(self, stored: dict[str, Any]) -> None:
        """Takes over what the server says about the run."""
        self.stored = stored
        self.related = related_resources(
            self.id, self.name, stored["flow_id"], self.flow.name, self.flow.tags
        )

    def next_task_number(self, task_key: str) -> int:
        """How many runs of this task were made in this execution before."""
        return next(self._task_numbers[task_key])

    def pool(self) -> ThreadPoolExecutor:
        """The threads for submitted tasks, made at the first submit."""
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.flow.max_task_threads, thread_name_prefix=f"penstock-{self.name}"
                )
            return self._pool

    def finish_tasks(self, cancel: bool) -> None:
        """Waits for the submitted tasks, or only for those begun, and ends the threads."""
        for future in self.futures:
            if not (cancel and future.cancel()):
                future.wait()
        self.futures.clear()
        self._task_numbers.clear()
        self.pause_numbers = itertools.count(1)
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def close(self) -> None:
        """Ends the run's background work; a second call does nothing."""
        if self.attempt is not None:
            renewer.remove(self.attempt)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self.reporter.close()

    # -- the body ----------------------------------------------------------------------------

    def body(self) -> Any:
        """Calls the flow's function with the run as its context."""
        tokens = self._enter()
        thread = threading.get_ident()
        in_main = threading.current_thread() is threading.main_thread()
        self._stop_body = lambda: _stop_thread(thread, in_main)
        try:
            return self.flow.call(self.parameters)
        finally:
            self._stop_body = None
            self._leave(tokens)

    async def async_body(self) -> Any:
        """Awaits the flow's function with the run as its context."""
        import asyncio

        tokens = self._enter()
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None
        self._stop_body = lambda: _stop_task(loop, task)
        try:
            return await self.flow.call(self.parameters)
        finally:
            self._stop_body = None
            self._leave(tokens)

    def _enter(self) -> tuple[Token[Any], Token[Any], Token[Any]]:
        return (
            current_flow_run.set(self),
            current_task_run.set(None),
            prints_are_logged.set(self.flow.log_prints),
        )

    def _leave(self, tokens: tuple[Token[Any], Token[Any], Token[Any]]) -> None:
        current_flow_run.reset(tokens[0])
        current_task_run.reset(tokens[1])
        prints_are_logged.reset(tokens[2])

    def interrupt(self, reason: str) -> None:
        """Breaks the body off; called by the thread that renews the attempt."""
        self.interrupted = reason
        if reason == "LOST":
            self.reporter.lost = True
        stop = self._stop_body
        if stop is not None:
            stop()

    @contextlib.contextmanager
    def context(self) -> Iterator[None]:
        """Code inside it belongs to the run, as the body does."""
        tokens = self._enter()
        try:
            yield
        finally:
            self._leave(tokens)

    def log_failure(self, error: BaseException) -> None:
        """Writes the body's exception to the run's log."""
        with self.context():
            text = traceback_of_user_code(error)
            get_run_logger().error("The flow failed with an exception:\n%s", text)


def _stop_thread(thread: int, in_main: bool) -> None:
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # a signal also ends a sleep or a read; the engine knows that it was not Ctrl-C
        signal.pthread_kill(thread, signal.SIGINT)
    elif in_main:
        _thread.interrupt_main()
    else:
        raise_in_thread(thread, RunCancelled)


def _stop_task(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    loop.call_soon_threadsafe(task.cancel)
