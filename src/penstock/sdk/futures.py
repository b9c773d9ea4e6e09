"""Futures of submitted tasks, and values that hold them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

from penstock.sdk.states import State, cancelled

R = TypeVar("R")


class TaskFuture(Generic[R]):
    """The future of one submitted task run."""

    def __init__(self, task_run_id: str, name: str, job: Callable[[], State]) -> None:
        #: the task run's id
        self.task_run_id = task_run_id
        #: the task run's name
        self.name = name
        self._job: Callable[[], State] | None = job
        self._claim = threading.Lock()
        self._done = threading.Event()
        self._state: State | None = None
        self._crash: BaseException | None = None

    @property
    def state(self) -> State:
        """The state the task run is in; PENDING until it has ended."""
        return self._state or State("PENDING", "Pending")

    def run(self) -> None:
        """Executes the task here, unless another thread has begun to; for the pool's threads."""
        with self._claim:
            job, self._job = self._job, None
        if job is None:
            return
        try:
            self._state = job()
        except BaseException as error:  # the waiting code must hear of it, whatever it is
            self._crash = error
        finally:
            self._done.set()

    def cancel(self) -> bool:
        """Cancels the task unless a thread has begun it; False when one has."""
        with self._claim:
            job, self._job = self._job, None
        if job is not None:
            self._state = cancelled("not started")
            self._done.set()
        return job is not None

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the task run has ended; False when it has not within `timeout` seconds.

        A task that no thread has begun is executed by the waiting thread, so tasks that wait for
        tasks cannot run out of threads.
        """
        if timeout is None and not _in_event_loop():
            self.run()
        return self._done.wait(timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """The task's return value; raises its exception, or TimeoutError after `timeout`.

        Without `raise_on_failure` the exception is given instead of raised.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"task run '{self.name}' did not end within {timeout:g} s")
        if self._crash is not None:
            raise self._crash
        value: R = self.state.result(raise_on_failure)
        return value

    def __await__(self) -> Generator[Any, None, R]:
        """In async flows: waits without blocking the event loop and gives the result."""
        import asyncio

        yield from asyncio.to_thread(self.wait).__await__()
        return self.result()


def _in_event_loop() -> bool:
    """True where an async task cannot be run to its end, for its loop would be in another."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class TaskFutures(list[TaskFuture[R]]):
    """The futures of a mapped task, in the order of its inputs."""

    def wait(self) -> None:
        """Waits until all have ended."""
        for future in self:
            future.wait()

    def result(self, raise_on_failure: bool = True) -> list[R]:
        """All results in order; raises the first exception in that order."""
        self.wait()
        return [future.result(raise_on_failure=raise_on_failure) for future in self]


_CONTAINERS = (list, tuple, set, frozenset, dict)


def find_futures(value: Any) -> list[TaskFuture[Any]]:
    """The futures in a value, also in lists, tuples, sets and dictionaries."""
    if isinstance(value, TaskFuture):
        return [value]
    if isinstance(value, dict):
        return _find_in(value.values())
    if isinstance(value, _CONTAINERS):
        return _find_in(value)
    return []


def _find_in(values: Iterable[Any]) -> list[TaskFuture[Any]]:
    found: list[TaskFuture[Any]] = []
    for value in values:
        if isinstance(value, TaskFuture):
            found.append(value)
        elif isinstance(value, _CONTAINERS):
            found.extend(find_futures(value))
    return found


def replaced(value: Any, by: Callable[[Any], Any]) -> Any:
    """The value with its futures and states replaced, containers rebuilt."""
    if isinstance(value, TaskFuture | State):
        return by(value)
    if isinstance(value, dict):
        return {key: replaced(item, by) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, by) for item in value))
    if isinstance(value, list | tuple | set | frozenset):
        kind = list if isinstance(value, TaskFutures) else type(value)
        return kind(replaced(item, by) for item in value)
    return value


def settled(value: Any) -> tuple[Any, list[State]]:
    """A flow's return value with results in place of futures and states, and those states."""
    if not isinstance(value, (TaskFuture, State, *_CONTAINERS)):
        return value, []
    states: list[State] = []

    def take(found: Any) -> Any:
        state = found if isinstance(found, State) else _ended(found)
        states.append(state)
        return state.data

    replacement = replaced(value, take) if _holds_runs(value) else value
    return replacement, states


def _ended(future: TaskFuture[Any]) -> State:
    future.wait()
    if future._crash is not None:
        raise future._crash
    return future.state


def _holds_runs(value: Any) -> bool:
    if isinstance(value, TaskFuture | State):
        return True
    if isinstance(value, dict):
        return any(_holds_runs(item) for item in value.values())
    return isinstance(value, _CONTAINERS) and any(_holds_runs(item) for item in value)
