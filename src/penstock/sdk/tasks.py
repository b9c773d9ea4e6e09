"""`@task`: a function whose calls in a flow are recorded, retried, timed and run in threads."""

from __future__ import annotations

import contextvars
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from penstock.sdk.context import current_flow_run, flow_run_here
from penstock.sdk.futures import TaskFuture, TaskFutures, replaced
from penstock.sdk.hooks import Hook, as_hooks
from penstock.sdk.parameters import bind
from penstock.sdk.run_logs import capture_prints
from penstock.sdk.states import State
from penstock.sdk.steps import run_awaiting, run_blocking, run_coroutine
from penstock.sdk.task_runs import (
    Delay,
    LiveTaskRun,
    delay_at,
    delays_of,
    short_name,
    task_run_steps,
)

P = ParamSpec("P")
R = TypeVar("R")
RetryCondition = Callable[["Task[Any, Any]", Any, State], bool]


class unmapped:  # lower case: reads as a word where `map` is called
    """Marks an argument of `Task.map` that every call gets whole."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Task(Generic[P, R]):
    """A task. Called in a flow it runs here and now; `.submit()` and `.map()` use threads.

    Outside of a flow a call is a plain call of the function and leaves no record.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        tags: Iterable[str] | None = None,
        retries: int = 0,
        retry_delay_seconds: Delay = None,
        retry_jitter_factor: float = 0.0,
        retry_condition: RetryCondition | None = None,
        timeout_seconds: float | None = None,
        task_run_name: str | Callable[[], str] | None = None,
        log_prints: bool | None = None,
        on_running: Iterable[Hook] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
    ) -> None:
        if retries < 0 or (timeout_seconds is not None and timeout_seconds <= 0):
            raise ValueError("retries must not be negative, timeout_seconds must be positive")
        functools.update_wrapper(self, function)
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", type(function).__name__))
        self.description = description or inspect.getdoc(function)
        self.version = version
        self.tags = sorted(set(tags or ()))
        self.retries = retries
        self.retry_delay_seconds = retry_delay_seconds
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition = retry_condition
        self.timeout_seconds = timeout_seconds
        self.task_run_name = task_run_name
        self.log_prints = log_prints
        #: called with the task, its run and the state when a run has entered such a state
        self.on_running = as_hooks(on_running)
        self.on_completion = as_hooks(on_completion)
        self.on_failure = as_hooks(on_failure)
        self.is_async = inspect.iscoroutinefunction(function)
        #: delays in seconds, a callable already asked
        self.recorded_delay = delays_of(retry_delay_seconds, retries)
        #: tells the task's runs from those of other tasks in a flow run
        self.task_key = f"{self.name}-{_fingerprint(function)}"
        if log_prints:
            capture_prints()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the task; an async task gives a coroutine."""
        if current_flow_run.get() is None:
            return self.function(*args, **kwargs)
        return_state = kwargs.pop("return_state", False)
        wait_for: Any = kwargs.pop("wait_for", None)
        run = LiveTaskRun(self, flow_run_here(), args, kwargs, wait_for)
        if self.is_async:
            return self._await(run, bool(return_state))  # type: ignore[return-value]
        state = run_blocking(task_run_steps(run))
        return state if return_state else state.result()  # type: ignore[return-value]

    async def _await(self, run: LiveTaskRun, return_state: bool) -> Any:
        state = await run_awaiting(task_run_steps(run))
        return state if return_state else state.result()

    @overload
    def submit(
        self,
        *args: Any,
        wait_for: Iterable[Any] | None = None,
        return_state: Literal[False] = False,
        **kwargs: Any,
    ) -> TaskFuture[R]: ...

    @overload
    def submit(
        self,
        *args: Any,
        wait_for: Iterable[Any] | None = None,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> State: ...

    def submit(
        self,
        *args: Any,
        wait_for: Iterable[Any] | None = None,
        return_state: bool = False,
        **kwargs: Any,
    ) -> TaskFuture[R] | State:
        """Starts the task in a thread and gives its TaskFuture.

        Futures among the arguments, also in lists and dictionaries, and in `wait_for` are waited
        for; the task gets their results. With `return_state=True` waits and gives the state.
        """
        future = self._submit(args, kwargs, wait_for)
        if not return_state:
            return future
        future.wait()
        return future.state

    def _submit(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
    ) -> TaskFuture[R]:
        flow_run = flow_run_here()
        run = LiveTaskRun(self, flow_run, args, kwargs, wait_for)
        context = contextvars.copy_context()

        def job() -> State:
            if self.is_async:
                return context.run(run_coroutine, run_awaiting(task_run_steps(run)))
            return context.run(run_blocking, task_run_steps(run))

        future: TaskFuture[R] = TaskFuture(run.id, run.name, job)
        flow_run.futures.append(future)
        flow_run.pool().submit(future.run)
        return future

    def map(
        self, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any
    ) -> TaskFutures[R]:
        """Submits the task once per element and gives the futures in order.

        Every list or other iterable among the arguments is walked in step; text, bytes,
        dictionaries and what is wrapped in `unmapped()` goes whole to every call.
        """
        names_and_values = [*enumerate(args), *kwargs.items()]
        lists: dict[Any, Sequence[Any]] = {}
        for key, value in names_and_values:
            value = value.result() if isinstance(value, TaskFuture) else value
            if _is_mapped(value):
                lists[key] = value if isinstance(value, Sequence) else list(value)
        lengths = {len(values) for values in lists.values()}
        if len(lengths) != 1:
            raise ValueError(
                "map() needs at least one list"
                if not lengths
                else f"map() got lists of different lengths: {sorted(lengths)}"
            )
        whole = {
            key: value.value if isinstance(value, unmapped) else value
            for key, value in names_and_values
        }
        futures: TaskFutures[R] = TaskFutures()
        for index in range(lengths.pop()):
            call: dict[Any, Any] = {
                key: lists[key][index] if key in lists else whole[key] for key in whole
            }
            positional = tuple(call.pop(position) for position in range(len(args)))
            futures.append(self._submit(positional, call, wait_for))
        return futures

    def with_options(self, **options: Any) -> Task[P, R]:
        """The same task with some options changed."""
        current = {
            name: getattr(self, name)
            for name in inspect.signature(Task).parameters
            if name != "function"
        }
        return Task(self.function, **{**current, **options})

    def name_run(self, args: tuple[Any, ...], kwargs: dict[str, Any], number: str) -> str:
        """The name of a run of this task."""
        if self.task_run_name is None:
            return f"{self.name}-{number}"

        def parameters() -> dict[str, Any]:
            return bind(self.function, *replaced((args, kwargs), lambda found: found.name))

        return short_name(self.task_run_name, parameters) or f"{self.name}-{number}"

    def delay_before_retry(self, run_count: int) -> float:
        """Seconds to wait after run number `run_count` failed."""
        return delay_at(self.recorded_delay, run_count, self.retry_jitter_factor)

    def prints_are_logged(self, in_flow: bool) -> bool:
        """Whether `print` writes log lines; the flow decides when the task does not."""
        return in_flow if self.log_prints is None else self.log_prints


def _is_mapped(value: Any) -> bool:
    if isinstance(value, (unmapped, str, bytes, bytearray, dict, TaskFuture)):
        return False
    return isinstance(value, Iterable) and (isinstance(value, Sized) or hasattr(value, "__next__"))


def _fingerprint(function: Callable[..., Any]) -> str:
    """Changes when the function's code does; tells tasks of the same name apart."""
    code = getattr(function, "__code__", None)
    where = getattr(function, "__qualname__", repr(function))
    text = f"{where}\n{code.co_code!r}\n{code.co_names!r}" if code else where
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    tags: Iterable[str] | None = None,
    retries: int = 0,
    retry_delay_seconds: Delay = None,
    retry_jitter_factor: float = 0.0,
    retry_condition: RetryCondition | None = None,
    timeout_seconds: float | None = None,
    task_run_name: str | Callable[[], str] | None = None,
    log_prints: bool | None = None,
    on_running: Iterable[Hook] | None = None,
    on_completion: Iterable[Hook] | None = None,
    on_failure: Iterable[Hook] | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a task, with or without options.

    `retry_delay_seconds` is a number, a list with one delay per retry, or a function that gets
    the number of retries and returns either. `task_run_name` may name parameters in braces.
    """
    if function is not None:
        return Task(function)
    return lambda decorated: Task(decorated, **options)
