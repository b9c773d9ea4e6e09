"""The engine that takes a flow run through its states: steps for the drivers in `steps.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.sdk import calls
from penstock.sdk.attempts import renewer
from penstock.sdk.errors import (
    Conflict,
    PauseTimedOut,
    RunAborted,
    RunCancelled,
    RunSuspended,
    RunTerminated,
)
from penstock.sdk.flow_runs import LiveFlowRun
from penstock.sdk.futures import settled
from penstock.sdk.hooks import call_flow_hooks, hooks_of
from penstock.sdk.parameters import recordable
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
from penstock.sdk.subflows import parent_task_run_id

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow

#: ids of flows by server and name: a flow is not created again for each of its runs
_flow_ids: dict[tuple[str, str], str] = {}


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
            if isinstance(state.data, PauseTimedOut):  # the server has failed the run already
                answered = state
            else:
                answered = yield from _propose(run, state)
            if not _is_retry(answered):
                final = _final(run, state, answered)
                yield from _call_hooks(run, final)
                return final
            yield from _retry(run, answered)
    finally:
        run.close()


def _create(run: LiveFlowRun) -> None:
    flow, client = run.flow, run.client
    body: dict[str, Any] = {
        "parameters": recordable(run.parameters),
        "state": PENDING.to_body(),
        "tags": flow.tags,
        "flow_version": flow.version,
        "flow_run_name": flow.name_run(run.parameters),
        "parent_task_run_id": parent_task_run_id(flow.name),
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
    yield from _call_hooks(run, answered)


def _call_hooks(run: LiveFlowRun, state: State) -> Steps[None]:
    if hooks_of(run.flow, state):
        yield Do(lambda: call_flow_hooks(run, state))
        yield Do(run.reporter.flush)


def _retry(run: LiveFlowRun, answered: State) -> Steps[None]:
    yield Sleep(_seconds_until(answered.scheduled_time))
    answered = yield from _propose(run, RETRYING)
    if answered.type != "RUNNING":
        raise RunAborted(f"flow run '{run.name}' cannot be retried: it is {answered.name}")
    run.run_count += 1
    yield from _call_hooks(run, answered)


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
    if run.interrupted == "TERMINATED":
        yield from _call_hooks_of_cancellation(run)
        raise RunTerminated from outcome.error  # whoever asked for it sets the state
    if isinstance(outcome.error, RunSuspended):
        raise outcome.error
    return state


def _call_hooks_of_cancellation(run: LiveFlowRun) -> Steps[None]:
    """A worker ends the process of a cancelled run: its hooks have until then."""
    if run.flow.on_cancellation:
        stored = yield Do(lambda: run.client.do_json(calls.read_flow_run(run.id)))
        if stored["state_type"] == "CANCELLING":
            yield from _call_hooks(run, state_from_wire(stored["state"]))


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
