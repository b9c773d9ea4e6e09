"""One flow run being executed by this process, and the engine that takes it through its states."""

from __future__ import annotations

import _thread
import asyncio
import itertools
import signal
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Token
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.sdk import calls
from penstock.sdk.attempts import Attempt, renewer
from penstock.sdk.context import current_flow_run, current_task_run
from penstock.sdk.errors import (
    Conflict,
    RunAborted,
    RunCancelled,
    RunTerminated,
)
from penstock.sdk.futures import TaskFuture, settled
from penstock.sdk.parameters import recordable
from penstock.sdk.reporter import Reporter
from penstock.sdk.run_logs import get_run_logger, prints_are_logged
from penstock.sdk.states import (
    PENDING,
    RETRYING,
    RUNNING,
    State,
    cancelled,
    completed,
    crashed,
    failed,
    state_from_wire,
)
from penstock.sdk.steps import Do, Outcome, RunBody, Sleep, Steps
from penstock.sdk.task_events import related_resources
from penstock.sdk.timeouts import raise_in_thread

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow

#: ids of flows by server and name: a flow is not created again for each of its runs
_flow_ids: dict[tuple[str, str], str] = {}

PARENT_LABEL = "penstock.parent_flow_run_id"


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
        #: why the body is being interrupted: CANCELLING or LOST
        self.interrupted: str | None = None
        self.futures: list[TaskFuture[Any]] = []
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

    def log_failure(self, error: BaseException) -> None:
        """Writes the body's exception to the run's log."""
        token = current_flow_run.set(self)
        try:
            text = "".join(traceback.format_exception(error))
            get_run_logger().error("The flow failed with an exception:\n%s", text.rstrip())
        finally:
            current_flow_run.reset(token)


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


# -- the engine ------------------------------------------------------------------------------


def flow_run_steps(run: LiveFlowRun) -> Steps[State]:
    """Takes a flow run from wherever it is to its final state, which it returns."""
    try:
        if run.stored is None:
            yield Do(lambda: _create(run))
        else:
            yield Do(lambda: _complete_stored(run))
        yield from _start(run)
        while True:
            state = yield from _run_once(run)
            answered = yield from _propose(run, state)
            if not _is_retry(answered):
                return _final(run, state, answered)
            yield from _retry(run, answered)
    finally:
        run.close()


def _create(run: LiveFlowRun) -> None:
    flow, client = run.flow, run.client
    parent = current_flow_run.get()
    body: dict[str, Any] = {
        "parameters": recordable(run.parameters),
        "state": PENDING.to_body(),
        "tags": flow.tags,
        "flow_version": flow.version,
        "flow_run_name": flow.name_run(run.parameters),
        "labels": {PARENT_LABEL: parent.id} if parent else None,
        "empirical_policy": flow.policy(),
    }
    known = (client.api_url, flow.name) in _flow_ids
    call = calls.create_flow_run(flow_id=flow_id(flow, client), **body)
    try:
        stored = client.do_json(call)
    except Conflict:
        if not known:
            raise
        # somebody deleted the flow since its last run
        del _flow_ids[client.api_url, flow.name]
        stored = client.do_json(calls.create_flow_run(flow_id=flow_id(flow, client), **body))
    run.adopt(stored)


def flow_id(flow: Flow[Any, Any], client: Client) -> str:
    """The id of the flow on the client's server, where it is created when it is missing."""
    key = (client.api_url, flow.name)
    if key not in _flow_ids:
        _flow_ids[key] = str(client.do(calls.create_flow(flow.name)))
    return _flow_ids[key]


def _complete_stored(run: LiveFlowRun) -> None:
    """What only the code knows about a run that was created by others."""
    stored = run.stored
    assert stored is not None
    policy = run.flow.policy()
    fields: dict[str, Any] = {}
    if policy and (stored.get("empirical_policy") or {}).get("retries") is None:
        fields["empirical_policy"] = {**(stored.get("empirical_policy") or {}), **policy}
    name = run.flow.name_run(run.parameters)
    if name:
        fields["name"] = stored["name"] = name
    if fields:
        run.client.do(calls.update_flow_run(stored["id"], **fields))
    run.adopt(stored)


def _start(run: LiveFlowRun) -> Steps[None]:
    answered = yield from _propose(run, RUNNING)
    while _is_retry(answered):
        yield Sleep(_seconds_until(answered.scheduled_time))
        answered = yield from _propose(run, RETRYING)
    if answered.type == "CANCELLING":
        answered = yield from _propose(run, cancelled())
    if answered.type != "RUNNING":
        raise RunAborted(f"flow run '{run.name}' cannot start: it is {answered.name}")
    run.run_count += 1
    if run.attempt is not None:
        renewer.add(run.attempt)


def _retry(run: LiveFlowRun, answered: State) -> Steps[None]:
    yield Sleep(_seconds_until(answered.scheduled_time))
    answered = yield from _propose(run, RETRYING)
    if answered.type != "RUNNING":
        raise RunAborted(f"flow run '{run.name}' cannot be retried: it is {answered.name}")
    run.run_count += 1


def _run_once(run: LiveFlowRun) -> Steps[State]:
    """Runs the body and waits until its tasks, reports and log lines are through."""
    body = run.async_body if run.flow.is_async else run.body
    outcome: Outcome = yield RunBody(body, run.flow.timeout_seconds)
    broken_off = outcome.error is not None and not isinstance(outcome.error, Exception)
    yield Do(lambda: run.finish_tasks(cancel=broken_off))
    state = _state_of(run, outcome)
    if isinstance(outcome.error, Exception):
        run.log_failure(outcome.error)
    yield Do(run.reporter.flush)
    if run.reporter.lost:
        _abort(run, outcome.error)
    if isinstance(outcome.error, RunTerminated):
        raise outcome.error  # whoever asked the process to stop sets the state
    return state


def _state_of(run: LiveFlowRun, outcome: Outcome) -> State:
    error = outcome.error
    if run.interrupted == "CANCELLING":
        return cancelled()
    if error is None:
        return _state_of_value(outcome.value)
    if outcome.timed_out:
        text = f"the flow took longer than {run.flow.timeout_seconds:g} s"
        return failed(TimeoutError(text), text, name="TimedOut")
    if isinstance(error, RunCancelled):
        return cancelled()
    if isinstance(error, Exception):
        return failed(error)
    return crashed(error)


def _state_of_value(value: Any) -> State:
    """COMPLETED, unless the flow returned a failed state or the future of a failed task."""
    value, states = settled(value)
    bad = [state for state in states if not state.is_completed()]
    if not bad:
        return completed(value)
    if len(states) == 1:
        return State(bad[0].type, bad[0].name, bad[0].message, bad[0].data)
    message = f"{len(bad)} of {len(states)} states did not complete"
    first = next((state.data for state in bad if isinstance(state.data, BaseException)), None)
    return failed(first, message)


def _final(run: LiveFlowRun, state: State, answered: State) -> State:
    """The state as the server sees it, with the result or exception of this process."""
    if answered.type == state.type:
        return State(state.type, answered.name, answered.message, state.data)
    return State(answered.type, answered.name, answered.message)


def _propose(run: LiveFlowRun, state: State) -> Steps[State]:
    """Proposes a state until the server decides; returns the state the run is in then."""
    while True:
        call = calls.set_flow_run_state(run.id, state, attempt_id=run.attempt_id)
        answer = yield Do(lambda call=call: run.client.do_json(call))  # type: ignore[misc]
        details = answer["details"]
        match answer["status"]:
            case "WAIT":
                yield Sleep(float(details["delay_seconds"]))
            case "ABORT":
                raise RunAborted(f"flow run '{run.name}': {details.get('reason') or 'aborted'}")
            case _:
                answered = state_from_wire(answer["state"])
                if answered.type == "CANCELLING" and state.is_final():
                    state = cancelled()
                    continue
                return answered


def _abort(run: LiveFlowRun, cause: BaseException | None) -> NoReturn:
    message = f"flow run '{run.name}' was taken from this process: its attempt is lost"
    raise RunAborted(message) from cause


def _is_retry(state: State) -> bool:
    return state.type == "SCHEDULED" and state.name == "AwaitingRetry"


def _seconds_until(when: datetime | None) -> float:
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when else 0.0
