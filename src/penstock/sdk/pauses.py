"""Pausing, suspending and resuming flow runs, and the input that a paused run waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson

from penstock.sdk import calls
from penstock.sdk.connection import shared_client
from penstock.sdk.context import MissingContext, current_task_run, flow_run_here
from penstock.sdk.errors import Conflict, PauseTimedOut, RunCancelled, RunRefused, RunSuspended
from penstock.sdk.run_logs import get_run_logger
from penstock.sdk.states import FINAL_TYPES
from penstock.sdk.steps import Do, Sleep, Steps, run_awaiting, run_blocking

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.flow_runs import LiveFlowRun

DEFAULT_TIMEOUT_SECONDS = 3600.0
FIRST_POLL_SECONDS = 0.25
#: field that holds an input which is no object
VALUE = "value"


def pause_flow_run(
    wait_for_input: Any = None,
    *,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    poll_interval: float = 2.0,
    key: str | None = None,
    description: str | None = None,
) -> Any:
    """Pauses the flow run around the calling code until somebody resumes it; the process waits.

    With `wait_for_input`, a pydantic model or any type, gives the validated input. `description`
    says to people what is asked for. Each `key` (a number by default) pauses once: a flow that is
    executed again passes it with the earlier input. Raises PauseTimedOut after `timeout_seconds`
    (None waits for ever), RunRefused when the server does not allow the pause.
    """
    request = _Request("Paused", wait_for_input, timeout_seconds, key, description)
    return run_blocking(_pause_steps(request, poll_interval))


async def apause_flow_run(
    wait_for_input: Any = None,
    *,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    poll_interval: float = 2.0,
    key: str | None = None,
    description: str | None = None,
) -> Any:
    """As `pause_flow_run`, for async flows."""
    request = _Request("Paused", wait_for_input, timeout_seconds, key, description)
    return await run_awaiting(_pause_steps(request, poll_interval))


def suspend_flow_run(
    wait_for_input: Any = None,
    *,
    flow_run_id: UUID | str | None = None,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    key: str | None = None,
    description: str | None = None,
    client: Client | None = None,
) -> Any:
    """Suspends the flow run around the calling code: the process ends, and when somebody resumes
    the run, a worker executes the flow from its beginning, past this point.

    Gives the validated input then, as `pause_flow_run` does. `flow_run_id` suspends another run.
    Raises RunRefused for a run without a deployment, which no worker could resume.
    """
    if flow_run_id is not None:
        _suspend_other(client or shared_client(), flow_run_id, timeout_seconds)
        return None
    request = _Request("Suspended", wait_for_input, timeout_seconds, key, description)
    return run_blocking(_suspend_steps(request))


async def asuspend_flow_run(
    wait_for_input: Any = None,
    *,
    flow_run_id: UUID | str | None = None,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    key: str | None = None,
    description: str | None = None,
    client: Client | None = None,
) -> Any:
    """As `suspend_flow_run`, for async flows."""
    if flow_run_id is not None:
        import asyncio

        other = client if client is not None else await asyncio.to_thread(shared_client)
        await asyncio.to_thread(_suspend_other, other, flow_run_id, timeout_seconds)
        return None
    request = _Request("Suspended", wait_for_input, timeout_seconds, key, description)
    return await run_awaiting(_suspend_steps(request))


def resume_flow_run(
    flow_run_id: UUID | str, run_input: Any = None, *, client: Client | None = None
) -> None:
    """Lets a paused or suspended run go on; `run_input` is a mapping, a model, or a plain value
    for a run that waits for one.

    Raises RunRefused when the run is not paused or the input does not fit.
    """
    client = client or shared_client()
    answer = client.do_json(calls.resume_flow_run(flow_run_id, run_input=_as_fields(run_input)))
    if answer["status"] != "ACCEPT":
        reason = (answer["details"] or {}).get("reason")
        raise RunRefused(f"flow run {flow_run_id} is not resumed: {reason}")


async def aresume_flow_run(
    flow_run_id: UUID | str, run_input: Any = None, *, client: Client | None = None
) -> None:
    """As `resume_flow_run`, without blocking the event loop."""
    import asyncio

    await asyncio.to_thread(resume_flow_run, flow_run_id, run_input, client=client)


class _Request:
    """One pause of the run around the calling code."""

    def __init__(
        self,
        name: str,
        wanted: Any,
        timeout_seconds: float | None,
        key: str | None,
        description: str | None,
    ) -> None:
        self.run = flow_run_here()
        if current_task_run.get() is not None:
            raise MissingContext("a task cannot pause its flow run: call it in the flow itself")
        self.name = name
        self.key = key or str(next(self.run.pause_numbers))
        self.timeout_seconds = timeout_seconds
        self.description = description
        self.input = None if wanted is None else RunInput(wanted, f"{name.lower()}-{self.key}")

    def state(self) -> dict[str, Any]:
        """The state to propose."""
        details: dict[str, Any] = {"pause_key": self.key}
        if self.timeout_seconds is not None:
            details["pause_timeout"] = datetime.now(UTC) + timedelta(seconds=self.timeout_seconds)
        if self.name == "Suspended":
            details["pause_reschedule"] = True
        if self.input is not None:
            details["run_input_keyset"] = self.input.keyset
        return {"type": "PAUSED", "name": self.name, "state_details": details}

    def propose(self) -> dict[str, Any]:
        """Stores what is asked for and proposes the pause; the answer."""
        run = self.run
        if self.input is not None:
            self.input.store(run.client, run.id, self.description)
        call = calls.set_flow_run_state(run.id, self.state(), attempt_id=run.attempt_id)
        answer: dict[str, Any] = run.client.do_json(call)
        if answer["status"] == "ABORT":
            reason = (answer["details"] or {}).get("reason")
            raise RunRefused(f"flow run '{run.name}' is not {self.name.lower()}: {reason}")
        return answer

    def given(self) -> Any:
        """The input, once the run goes on."""
        return None if self.input is None else self.input.read(self.run.client, self.run.id)


class RunInput:
    """What a paused run waits for: a schema for people and clients, and the answer to it."""

    def __init__(self, wanted: Any, key: str) -> None:
        from pydantic import BaseModel, create_model

        #: the names of the run's inputs, as clients of the contract choose them
        self.keyset = {part: f"{key}-{part}" for part in ("description", "response", "schema")}
        self._is_plain = not (isinstance(wanted, type) and issubclass(wanted, BaseModel))
        name = getattr(wanted, "__name__", "Input")
        self._model: Any = wanted
        if self._is_plain:
            fields: dict[str, Any] = {VALUE: (wanted, ...)}
            self._model = create_model(name, **fields)

    def store(self, client: Client, flow_run_id: str, description: str | None) -> None:
        """Says on the server what is wanted; what an earlier execution said is replaced."""
        schema = orjson.dumps(self._model.model_json_schema(by_alias=True)).decode()
        _replace(client, flow_run_id, self.keyset["schema"], schema)
        if description is not None:
            text = orjson.dumps(description).decode()
            _replace(client, flow_run_id, self.keyset["description"], text)

    def read(self, client: Client, flow_run_id: str) -> Any:
        """The answer, validated."""
        text = client.do(calls.read_flow_run_input(flow_run_id, self.keyset["response"]))
        found = self._model.model_validate_json(text)
        return getattr(found, VALUE) if self._is_plain else found


def _replace(client: Client, flow_run_id: str, key: str, value: str) -> None:
    call = calls.create_flow_run_input(flow_run_id, key=key, value=value)
    try:
        client.do(call)
    except Conflict:
        client.do(calls.delete_flow_run_input(flow_run_id, key))
        client.do(call)


def _pause_steps(request: _Request, poll_interval: float) -> Steps[Any]:
    """Waits in the process until the run goes on."""
    run = request.run
    yield Do(run.reporter.flush)
    answer = yield Do(request.propose)
    if answer["status"] == "ACCEPT":
        get_run_logger().info("Paused: resume it with `penstock flow-run resume %s`", run.id)
    pause = min(FIRST_POLL_SECONDS, poll_interval)
    state = answer["state"]
    while state["type"] == "PAUSED":
        yield Sleep(pause)
        pause = min(pause * 1.5, poll_interval)
        stored = yield Do(lambda: run.client.do_json(calls.read_flow_run(run.id)))
        state = stored["state"]
    _check_goes_on(run, state)
    if answer["status"] == "ACCEPT":
        get_run_logger().info("Resumed")
    return (yield Do(request.given))


def _suspend_steps(request: _Request) -> Steps[Any]:
    """Leaves the process, unless an earlier execution was suspended here."""
    run = request.run
    for future in run.futures:
        yield Do(future.wait)
    yield Do(run.reporter.flush)
    answer = yield Do(request.propose)
    state = answer["state"]
    if state["type"] == "PAUSED":
        raise RunSuspended
    _check_goes_on(run, state)
    return (yield Do(request.given))


def _check_goes_on(run: LiveFlowRun, state: Mapping[str, Any]) -> None:
    """Raises what the state means for the flow, unless it is running."""
    if state["type"] == "RUNNING":
        return
    if state["type"] in ("CANCELLING", "CANCELLED"):
        raise RunCancelled
    if state["type"] == "FAILED":
        raise PauseTimedOut(f"flow run '{run.name}' was not resumed in time")
    ended = "has ended" if state["type"] in FINAL_TYPES else "does not go on"
    raise RunRefused(f"flow run '{run.name}' {ended}: it is {state['name']}")


def _suspend_other(client: Client, flow_run_id: UUID | str, timeout_seconds: float | None) -> None:
    details: dict[str, Any] = {"pause_reschedule": True, "pause_key": str(uuid4())}
    if timeout_seconds is not None:
        details["pause_timeout"] = datetime.now(UTC) + timedelta(seconds=timeout_seconds)
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    answer = client.do_json(calls.set_flow_run_state(flow_run_id, state))
    if answer["status"] != "ACCEPT":
        reason = (answer["details"] or {}).get("reason")
        raise RunRefused(f"flow run {flow_run_id} is not suspended: {reason}")


def _as_fields(run_input: Any) -> dict[str, Any] | None:
    if run_input is None or isinstance(run_input, Mapping):
        return None if run_input is None else dict(run_input)
    dump = getattr(run_input, "model_dump", None)
    if dump is not None:
        fields: dict[str, Any] = dump(mode="json")
        return fields
    return {VALUE: run_input}
