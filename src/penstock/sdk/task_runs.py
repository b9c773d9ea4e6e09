"""One task run being executed, and the engine that retries it and reports its states."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from penstock.sdk import ids
from penstock.sdk.context import TaskRunContext, current_flow_run, current_task_run
from penstock.sdk.errors import ApiError, InvalidInput, RunCancelled
from penstock.sdk.futures import TaskFuture, find_futures, replaced
from penstock.sdk.hooks import call_task_hooks, hooks_of
from penstock.sdk.parameters import bind
from penstock.sdk.run_logs import get_run_logger, prints_are_logged
from penstock.sdk.states import (
    PENDING,
    RETRYING,
    RUNNING,
    State,
    awaiting_retry,
    completed,
    crashed,
    failed,
)
from penstock.sdk.steps import Do, Outcome, RunBody, Sleep, Steps
from penstock.sdk.task_events import TaskRunReport, retry_policy
from penstock.sdk.tracebacks import traceback_of_user_code

if TYPE_CHECKING:
    from penstock.sdk.concurrency import Slots
    from penstock.sdk.flow_runs import LiveFlowRun
    from penstock.sdk.tasks import Task


#: per parameter; the server refuses events above 1.5 MB
MAX_RECORDED_INPUTS = 5000


class LiveTaskRun(AbstractContextManager[None]):
    """A task run while this process executes it. As a context manager: the code inside it."""

    __slots__ = (
        "_tokens",
        "args",
        "context",
        "flow_run",
        "id",
        "kwargs",
        "name",
        "report",
        "task",
        "upstream",
    )

    def __init__(
        self,
        task: Task[Any, Any],
        flow_run: LiveFlowRun,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: Iterable[Any] | None,
    ) -> None:
        number = str(flow_run.next_task_number(task.task_key))
        self.task = task
        self.flow_run = flow_run
        self.args = args
        self.kwargs = kwargs
        #: futures that must be completed before the body starts
        self.upstream = find_futures(args) + find_futures(kwargs) + find_futures(wait_for)
        self.id = ids.task_run_id(flow_run.id, task.task_key, number)
        self.name = task.name_run(args, kwargs, number)
        self.context = TaskRunContext(self.id, self.name, task.name)
        keys = {"name": self.name, "task_key": task.task_key, "dynamic_key": number}
        self.report = TaskRunReport(flow_run.reporter, flow_run.related, self.id, self.name, keys)
        first_fields = {
            "tags": task.tags,
            "labels": {},
            "task_inputs": self._inputs(wait_for) if self.upstream else {},
            "flow_run_run_count": flow_run.run_count,
        }
        policy = retry_policy(task.retries, task.recorded_delay)
        if policy:
            first_fields["empirical_policy"] = policy
        self.report.enter(PENDING, first_fields)

    def _inputs(self, wait_for: Iterable[Any] | None) -> dict[str, list[dict[str, str]]]:
        given = bind(self.task.function, self.args, self.kwargs)
        given["wait_for"] = wait_for
        return {
            name: [
                {"input_type": "task_run", "id": future.task_run_id}
                for future in futures[:MAX_RECORDED_INPUTS]
            ]
            for name, value in given.items()
            if (futures := find_futures(value))
        }

    def __enter__(self) -> None:
        self._tokens = (
            current_flow_run.set(self.flow_run),
            current_task_run.set(self.context),
            prints_are_logged.set(self.task.prints_are_logged(self.flow_run.flow.log_prints)),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        flow_token, task_token, prints_token = self._tokens
        current_flow_run.reset(flow_token)
        current_task_run.reset(task_token)
        prints_are_logged.reset(prints_token)

    def body(self) -> Any:
        """Calls the task's function."""
        with self:
            return self.task.function(*self.args, **self.kwargs)

    async def async_body(self) -> Any:
        """Awaits the task's function."""
        with self:
            return await self.task.function(*self.args, **self.kwargs)

    def take_inputs(self) -> State | None:
        """Puts results in place of futures; a state when one of them did not complete."""
        for future in self.upstream:
            future.wait()
            if not future.state.is_completed():
                message = f"upstream task run '{future.name}' is {future.state.name}"
                return failed(future.state.data, message, name="TriggerFailed")

        def result(found: Any) -> Any:
            return found.result()

        self.args = replaced(self.args, result)
        self.kwargs = replaced(self.kwargs, result)
        self.upstream = []
        return None

    def log(self, level: str, text: str, *values: Any) -> None:
        """Writes a line to the task run's log."""
        with self:
            getattr(get_run_logger(), level)(text, *values)


def task_run_steps(run: LiveTaskRun) -> Steps[State]:
    """Runs the body until it completes or its retries are used up; returns the final state."""
    task, report = run.task, run.report
    if run.upstream:
        refused: State | None = yield Do(run.take_inputs)
        if refused is not None:
            report.enter(refused)
            return refused
    entering = RUNNING
    while True:
        slots: Slots | None = None
        if task.tags:
            try:
                slots = yield from _take_slots(run)
            except InvalidInput as error:  # a limit of 0 never has a slot
                state = failed(error)
                report.enter(state)
                _log_failure(run, error)
                yield from _call_hooks(run, state)
                return state
        outcome = yield from _run_body(run, entering, slots)
        state = _state_of(run, outcome)
        if not state.is_failed() or not _wants_retry(run, state):
            report.enter(state)
            if isinstance(outcome.error, Exception):
                _log_failure(run, outcome.error)
            yield from _call_hooks(run, state)
            return state
        delay = task.delay_before_retry(report.run_count)
        run.log("warning", "%s; trying again in %g s", state.message, delay)
        report.enter(awaiting_retry(delay, state.message))
        yield Sleep(delay)
        entering = RETRYING


def _run_body(run: LiveTaskRun, entering: State, slots: Slots | None) -> Steps[Outcome]:
    """Runs the body once, and gives the slots of its tags back, whatever happens."""
    try:
        run.report.enter(entering)
        if entering is RUNNING:
            yield from _call_hooks(run, RUNNING)
        body = run.async_body if run.task.is_async else run.body
        outcome: Outcome = yield RunBody(body, run.task.timeout_seconds)
    except BaseException:
        if slots is not None:
            slots.release()
        raise
    if slots is not None:
        yield Do(slots.release)
    return outcome


def _take_slots(run: LiveTaskRun) -> Steps[Slots | None]:
    """The slots of the limits of the task's tags; without a server the task goes on, as it does
    without its reports."""
    from penstock.sdk.concurrency import tag_slots_steps

    try:
        slots = yield from tag_slots_steps(run.flow_run.client, run.id, run.task.tags)
    except InvalidInput:
        raise
    except ApiError as error:
        run.log("warning", "The limits of the task's tags are not held: %s", error)
        return None
    if slots is not None:
        lost = "The lease on the slots of the task's tags was lost: others may have them"
        slots.on_lost = lambda: run.log("warning", lost)
    return slots


def _call_hooks(run: LiveTaskRun, state: State) -> Steps[None]:
    if hooks_of(run.task, state):
        yield Do(lambda: call_task_hooks(run, state))


def _state_of(run: LiveTaskRun, outcome: Outcome) -> State:
    error = outcome.error
    if error is None:
        value = outcome.value
        if isinstance(value, TaskFuture):
            value.wait()
            value = value.state
        return value if isinstance(value, State) and value.is_final() else completed(value)
    if outcome.timed_out:
        text = f"the task took longer than {run.task.timeout_seconds:g} s"
        return failed(TimeoutError(text), text, name="TimedOut")
    if isinstance(error, Exception):
        return failed(error)
    return State("CANCELLED", "Cancelled", data=error) if _is_cancelled(error) else crashed(error)


def _is_cancelled(error: BaseException) -> bool:
    from asyncio import CancelledError

    return isinstance(error, RunCancelled | CancelledError)


def _wants_retry(run: LiveTaskRun, state: State) -> bool:
    if run.report.run_count > run.task.retries:
        return False
    condition = run.task.retry_condition
    return condition is None or bool(condition(run.task, run, state))


def _log_failure(run: LiveTaskRun, error: Exception) -> None:
    run.log("error", "The task failed with an exception:\n%s", traceback_of_user_code(error))


Delay = float | Sequence[float] | Callable[[int], float | Sequence[float]] | None


def delays_of(delay: Delay, retries: int) -> float | Sequence[float] | None:
    """The delays in seconds; a callable is asked once with the number of retries."""
    return delay(retries) if callable(delay) else delay


def delay_at(delays: float | Sequence[float] | None, run_count: int, jitter: float) -> float:
    """Seconds before the retry after run number `run_count`; a list's last holds for the rest."""
    if isinstance(delays, Sequence):
        seconds = delays[min(run_count - 1, len(delays) - 1)] if delays else 0.0
    else:
        seconds = delays or 0.0
    return seconds * random.uniform(1.0, 1.0 + jitter) if jitter else seconds


def short_name(
    template: str | Callable[[], str] | None, parameters: Callable[[], Mapping[str, Any]]
) -> str | None:
    """A run's name from a template in braces or from a function; None without one."""
    if template is None:
        return None
    return template() if callable(template) else template.format(**parameters())
