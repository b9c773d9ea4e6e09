"""Every wire operation the client house uses, each described once as a `Call`.

Path parameters are positional, body fields keyword arguments with their names on the wire. Fields
left out (or None, where the operation creates something) are not sent: the server's default holds.
"""

from __future__ import annotations

import functools
import importlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import orjson

from penstock.sdk.wire import DEFAULT_TIMEOUT_SECONDS, Call

if TYPE_CHECKING:
    from penstock.contract.rest.deployments import DeploymentResponse
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.contract.rest.flows import Flow
    from penstock.contract.rest.logs import Log
    from penstock.contract.rest.schedules import DeploymentSchedule
    from penstock.contract.rest.states import OrchestrationResult, State
    from penstock.contract.rest.task_runs import TaskRun
    from penstock.contract.rest.work_pools import (
        WorkerFlowRunResponse,
        WorkerResponse,
        WorkPoolResponse,
    )
    from penstock.contract.rest.work_queues import WorkQueueResponse

Id = uuid.UUID | str
Fields = Mapping[str, Any]

ATTEMPT_HEADER = "Penstock-Attempt"


# -- what an answer becomes ---------------------------------------------------------------------


def one(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses one contract model; the model is imported when the first answer arrives."""
    return lambda content: _model(module, name).model_validate_json(content)


def many(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses a list of a contract model."""
    return lambda content: _list_adapter(module, name).validate_json(content)


@functools.cache
def _model(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"penstock.contract.rest.{module}"), name)


@functools.cache
def _list_adapter(module: str, name: str) -> Any:
    from pydantic import TypeAdapter

    listed: Any = list[_model(module, name)]  # type: ignore[misc]
    return TypeAdapter(listed)


def _json(content: bytes) -> Any:
    return orjson.loads(content)


def _nothing(_content: bytes) -> None:
    return None


def _number(content: bytes) -> int:
    return int(content)


def _text(content: bytes) -> str:
    return str(orjson.loads(content))


def _id(content: bytes) -> uuid.UUID:
    return uuid.UUID(orjson.loads(content)["id"])


FLOW = ("flows", "Flow")
FLOW_RUN = ("flow_runs", "FlowRunResponse")
STATE = ("states", "State")
TASK_RUN = ("task_runs", "TaskRun")
DEPLOYMENT = ("deployments", "DeploymentResponse")
SCHEDULE = ("schedules", "DeploymentSchedule")
ORCHESTRATION_RESULT = ("states", "OrchestrationResult")
WORK_POOL = ("work_pools", "WorkPoolResponse")
WORK_QUEUE = ("work_queues", "WorkQueueResponse")
WORKER = ("work_pools", "WorkerResponse")
WORKER_FLOW_RUN = ("work_pools", "WorkerFlowRunResponse")
LOG = ("logs", "Log")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _name(text: str) -> str:
    return quote(text, safe="")


# -- the server ---------------------------------------------------------------------------------


def read_version() -> Call[str]:
    """The version of the server's product."""
    return Call("GET", "/admin/version", _text)


def read_health() -> Call[bool]:
    """True when the server answers."""
    return Call("GET", "/health", lambda content: bool(orjson.loads(content)), timeout_seconds=5)


# -- flows --------------------------------------------------------------------------------------


def create_flow(
    name: str, *, tags: Sequence[str] | None = None, labels: Fields | None = None
) -> Call[uuid.UUID]:
    """Creates the flow, or finds the one with this name; gives its id."""
    return Call("POST", "/flows/", _id, _given(name=name, tags=tags, labels=labels))


def read_flow(flow_id: Id) -> Call[Flow]:
    """The flow with this id."""
    return Call("GET", f"/flows/{flow_id}", one(*FLOW))


def read_flow_by_name(name: str) -> Call[Flow]:
    """The flow with this name."""
    return Call("GET", f"/flows/name/{_name(name)}", one(*FLOW))


def read_flows(**filter_body: Any) -> Call[list[Flow]]:
    """The flows that match `flows`, `flow_runs`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/flows/filter", many(*FLOW), filter_body)


def count_flows(**filter_body: Any) -> Call[int]:
    """How many flows match."""
    return Call("POST", "/flows/count", _number, filter_body)


def update_flow(flow_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the flow."""
    return Call("PATCH", f"/flows/{flow_id}", _nothing, fields)


def delete_flow(flow_id: Id) -> Call[None]:
    """Deletes the flow with its deployments and runs."""
    return Call("DELETE", f"/flows/{flow_id}", _nothing)


# -- flow runs ----------------------------------------------------------------------------------


def create_flow_run(
    *,
    flow_id: Id | None = None,
    deployment_id: Id | None = None,
    parameters: Fields | None = None,
    flow_run_name: str | None = None,
    scheduled_start_time: datetime | None = None,
    idempotency_key: str | None = None,
    state: Any = None,
    **fields: Any,
) -> Call[uuid.UUID]:
    """Creates a run of a flow or of a deployment and gives its id.

    With an `idempotency_key` a second call gives the first run's id. Other fields of the wire
    (`tags`, `context`, `labels`, `job_variables`, `work_queue_name`, ...) go under their names.
    """
    if (flow_id is None) == (deployment_id is None):
        raise ValueError("give either flow_id or deployment_id")
    if scheduled_start_time is not None:
        if state is not None:
            raise ValueError("give either state or scheduled_start_time")
        state = scheduled_state(scheduled_start_time)
    body = _given(
        name=flow_run_name,
        parameters=parameters,
        idempotency_key=idempotency_key,
        state=state_body(state),
        **fields,
    )
    path = "/flow_runs/" if deployment_id is None else _create_from_deployment(deployment_id)
    if deployment_id is None:
        body["flow_id"] = flow_id
    # without a key the server could not tell a repetition from a second run
    return Call("POST", path, _id, body, repeatable=idempotency_key is not None)


def create_flow_runs(deployment_id: Id, runs: Sequence[Fields]) -> Call[list[dict[str, Any]]]:
    """Creates up to 100 runs of a deployment; gives `flow_run_id`, `status`, `error` of each."""
    path = f"{_create_from_deployment(deployment_id)}/bulk"
    repeatable = all(run.get("idempotency_key") for run in runs)
    return Call("POST", path, lambda c: list(_json(c)["results"]), runs, repeatable=repeatable)


def _create_from_deployment(deployment_id: Id) -> str:
    return f"/deployments/{deployment_id}/create_flow_run"


def read_flow_run(flow_run_id: Id) -> Call[FlowRunResponse]:
    """The flow run with this id."""
    return Call("GET", f"/flow_runs/{flow_run_id}", one(*FLOW_RUN))


def read_flow_runs(**filter_body: Any) -> Call[list[FlowRunResponse]]:
    """The flow runs that match `flow_runs`, `flows`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/flow_runs/filter", many(*FLOW_RUN), filter_body)


def count_flow_runs(**filter_body: Any) -> Call[int]:
    """How many flow runs match."""
    return Call("POST", "/flow_runs/count", _number, filter_body)


def update_flow_run(flow_run_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the flow run."""
    return Call("PATCH", f"/flow_runs/{flow_run_id}", _nothing, fields)


def update_flow_run_labels(flow_run_id: Id, labels: Fields) -> Call[None]:
    """Merges labels into the flow run's."""
    return Call("PATCH", f"/flow_runs/{flow_run_id}/labels", _nothing, labels)


def delete_flow_run(flow_run_id: Id) -> Call[None]:
    """Deletes the flow run."""
    return Call("DELETE", f"/flow_runs/{flow_run_id}", _nothing)


def set_flow_run_state(
    flow_run_id: Id, state: Any, force: bool = False, *, attempt_id: Id | None = None
) -> Call[OrchestrationResult]:
    """Proposes a state; the answer says ACCEPT, REJECT, WAIT or ABORT.

    `state` is a type name, a mapping or a state object. A transition id is added, so that a
    repetition is recognised by the server.
    """
    body = state_body(state)
    if body is None:
        raise ValueError("a state is needed")
    details = dict(body.get("state_details") or {})
    details.setdefault("transition_id", str(uuid.uuid4()))
    headers = {ATTEMPT_HEADER: str(attempt_id)} if attempt_id else {}
    return Call(
        "POST",
        f"/flow_runs/{flow_run_id}/set_state",
        one(*ORCHESTRATION_RESULT),
        {"state": {**body, "state_details": details}, "force": force},
        headers=headers,
    )


def read_flow_run_states(flow_run_id: Id) -> Call[list[State]]:
    """The flow run's states, oldest first."""
    return Call("GET", "/flow_run_states/", many(*STATE), query={"flow_run_id": str(flow_run_id)})


def renew_attempt(attempt_id: Id) -> Call[dict[str, Any]]:
    """Keeps an attempt alive; gives `flow_run_id`, `lease_seconds`, `state_type`, `state_name`.

    Raises AttemptLost when the run has another owner or has ended.
    """
    return Call("POST", f"/penstock/attempts/{attempt_id}/renew", _json, timeout_seconds=10)


# -- task runs ----------------------------------------------------------------------------------


def read_task_run(task_run_id: Id) -> Call[TaskRun]:
    """The task run with this id."""
    return Call("GET", f"/task_runs/{task_run_id}", one(*TASK_RUN))


def read_task_runs(**filter_body: Any) -> Call[list[TaskRun]]:
    """The task runs that match `task_runs`, `flow_runs`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/task_runs/filter", many(*TASK_RUN), filter_body)


def count_task_runs(**filter_body: Any) -> Call[int]:
    """How many task runs match."""
    return Call("POST", "/task_runs/count", _number, filter_body)


def read_task_run_states(task_run_id: Id) -> Call[list[State]]:
    """The task run's states, oldest first."""
    return Call("GET", "/task_run_states/", many(*STATE), query={"task_run_id": str(task_run_id)})


# -- deployments --------------------------------------------------------------------------------


def create_deployment(*, name: str, flow_id: Id, **fields: Any) -> Call[uuid.UUID]:
    """Creates the flow's deployment, or updates the one with this name; gives its id."""
    return Call("POST", "/deployments/", _id, {"name": name, "flow_id": flow_id, **fields})


def read_deployment(deployment_id: Id) -> Call[DeploymentResponse]:
    """The deployment with this id."""
    return Call("GET", f"/deployments/{deployment_id}", one(*DEPLOYMENT))


def read_deployment_by_name(flow_name: str, deployment_name: str) -> Call[DeploymentResponse]:
    """The deployment `flow_name/deployment_name`."""
    path = f"/deployments/name/{_name(flow_name)}/{_name(deployment_name)}"
    return Call("GET", path, one(*DEPLOYMENT))


def read_deployments(**filter_body: Any) -> Call[list[DeploymentResponse]]:
    """The deployments that match `deployments`, `flows`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/deployments/filter", many(*DEPLOYMENT), filter_body)


def count_deployments(**filter_body: Any) -> Call[int]:
    """How many deployments match."""
    return Call("POST", "/deployments/count", _number, filter_body)


def update_deployment(deployment_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the deployment."""
    return Call("PATCH", f"/deployments/{deployment_id}", _nothing, fields)


def delete_deployment(deployment_id: Id) -> Call[None]:
    """Deletes the deployment and its runs that never started."""
    return Call("DELETE", f"/deployments/{deployment_id}", _nothing)


def pause_deployment(deployment_id: Id) -> Call[None]:
    """Stops the deployment's schedules."""
    return Call("POST", f"/deployments/{deployment_id}/pause_deployment", _nothing)


def resume_deployment(deployment_id: Id) -> Call[None]:
    """Starts the deployment's schedules again."""
    return Call("POST", f"/deployments/{deployment_id}/resume_deployment", _nothing)


def read_deployment_schedules(deployment_id: Id) -> Call[list[DeploymentSchedule]]:
    """The deployment's schedules."""
    return Call("GET", f"/deployments/{deployment_id}/schedules", many(*SCHEDULE))


def create_deployment_schedules(
    deployment_id: Id, schedules: Sequence[Fields]
) -> Call[list[DeploymentSchedule]]:
    """Adds schedules to the deployment."""
    path = f"/deployments/{deployment_id}/schedules"
    return Call("POST", path, many(*SCHEDULE), schedules, repeatable=False)


def update_deployment_schedule(deployment_id: Id, schedule_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of a schedule."""
    return Call("PATCH", f"/deployments/{deployment_id}/schedules/{schedule_id}", _nothing, fields)


def delete_deployment_schedule(deployment_id: Id, schedule_id: Id) -> Call[None]:
    """Removes a schedule."""
    return Call("DELETE", f"/deployments/{deployment_id}/schedules/{schedule_id}", _nothing)


# -- work pools, queues, workers ----------------------------------------------------------------


def create_work_pool(
    name: str, *, type: str | None = None, base_job_template: Fields | None = None, **fields: Any
) -> Call[WorkPoolResponse]:
    """Creates a work pool; its `default` queue comes with it."""
    body = _given(name=name, type=type, base_job_template=base_job_template, **fields)
    return Call("POST", "/work_pools/", one(*WORK_POOL), body, repeatable=False)


def read_work_pool(name: str) -> Call[WorkPoolResponse]:
    """The work pool with this name."""
    return Call("GET", f"/work_pools/{_name(name)}", one(*WORK_POOL))


def read_work_pools(**filter_body: Any) -> Call[list[WorkPoolResponse]]:
    """The work pools that match `work_pools`, `limit`, `offset`."""
    return Call("POST", "/work_pools/filter", many(*WORK_POOL), filter_body)


def count_work_pools(**filter_body: Any) -> Call[int]:
    """How many work pools match."""
    return Call("POST", "/work_pools/count", _number, filter_body)


def update_work_pool(name: str, **fields: Any) -> Call[None]:
    """Changes the given fields of the work pool (`is_paused`, `concurrency_limit`, ...)."""
    return Call("PATCH", f"/work_pools/{_name(name)}", _nothing, fields)


def delete_work_pool(name: str) -> Call[None]:
    """Deletes the work pool with its queues and workers."""
    return Call("DELETE", f"/work_pools/{_name(name)}", _nothing)


def create_work_queue(
    work_pool_name: str, *, name: str, priority: int | None = None, **fields: Any
) -> Call[WorkQueueResponse]:
    """Adds a queue to the pool."""
    path = f"/work_pools/{_name(work_pool_name)}/queues"
    body = _given(name=name, priority=priority, **fields)
    return Call("POST", path, one(*WORK_QUEUE), body, repeatable=False)


def read_work_queues(work_pool_name: str, **filter_body: Any) -> Call[list[WorkQueueResponse]]:
    """The pool's queues."""
    path = f"/work_pools/{_name(work_pool_name)}/queues/filter"
    return Call("POST", path, many(*WORK_QUEUE), filter_body)


def read_work_queue(work_pool_name: str, name: str) -> Call[WorkQueueResponse]:
    """The pool's queue with this name."""
    path = f"/work_pools/{_name(work_pool_name)}/queues/{_name(name)}"
    return Call("GET", path, one(*WORK_QUEUE))


def update_work_queue(work_pool_name: str, name: str, **fields: Any) -> Call[None]:
    """Changes the given fields of the queue."""
    path = f"/work_pools/{_name(work_pool_name)}/queues/{_name(name)}"
    return Call("PATCH", path, _nothing, fields)


def delete_work_queue(work_pool_name: str, name: str) -> Call[None]:
    """Deletes the queue."""
    path = f"/work_pools/{_name(work_pool_name)}/queues/{_name(name)}"
    return Call("DELETE", path, _nothing)


def read_workers(work_pool_name: str, **filter_body: Any) -> Call[list[WorkerResponse]]:
    """The workers that have polled the pool."""
    path = f"/work_pools/{_name(work_pool_name)}/workers/filter"
    return Call("POST", path, many(*WORKER), filter_body)


def send_worker_heartbeat(
    work_pool_name: str, name: str, heartbeat_interval_seconds: float | None = None
) -> Call[None]:
    """Says that the worker is alive."""
    path = f"/work_pools/{_name(work_pool_name)}/workers/heartbeat"
    body = _given(name=name, heartbeat_interval_seconds=heartbeat_interval_seconds)
    return Call("POST", path, _nothing, body)


def delete_worker(work_pool_name: str, name: str) -> Call[None]:
    """Forgets the worker."""
    return Call("DELETE", f"/work_pools/{_name(work_pool_name)}/workers/{_name(name)}", _nothing)


def get_scheduled_flow_runs(
    work_pool_name: str,
    *,
    work_queue_names: Sequence[str] | None = None,
    scheduled_before: datetime | None = None,
    limit: int | None = None,
    wait_seconds: float | None = None,
) -> Call[list[WorkerFlowRunResponse]]:
    """The pool's due runs, most urgent first; with `wait_seconds` waits until there is one."""
    waited = wait_seconds or 0
    return Call(
        "POST",
        f"/work_pools/{_name(work_pool_name)}/get_scheduled_flow_runs",
        many(*WORKER_FLOW_RUN),
        _given(work_queue_names=work_queue_names, scheduled_before=scheduled_before, limit=limit),
        headers={"Prefer": f"wait={waited:g}"} if waited else {},
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS + waited,
    )


# -- logs and events ----------------------------------------------------------------------------


def create_logs(logs: Sequence[Fields]) -> Call[None]:
    """Stores log lines."""
    return Call("POST", "/logs/", _nothing, logs)


def read_logs(**filter_body: Any) -> Call[list[Log]]:
    """The log lines that match `logs`, `sort`, `limit`, `offset`."""
    return Call("POST", "/logs/filter", many(*LOG), filter_body)


def create_events(events: Sequence[Fields], *, attempt_id: Id | None = None) -> Call[None]:
    """Stores events; an event whose id is known is not stored again."""
    headers = {ATTEMPT_HEADER: str(attempt_id)} if attempt_id else {}
    return Call("POST", "/events", _nothing, events, headers=headers)


# -- states -------------------------------------------------------------------------------------


def scheduled_state(scheduled_time: datetime) -> dict[str, Any]:
    """The body of a SCHEDULED state; the time must carry a time zone."""
    if scheduled_time.tzinfo is None:
        raise ValueError("scheduled_start_time needs a time zone")
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled_time}}


def state_body(state: Any) -> dict[str, Any] | None:
    """A state's body from a type name, a mapping, or an object with `type`, `name`, `message`."""
    if state is None:
        return None
    if isinstance(state, str):
        return {"type": state.upper()}
    if isinstance(state, Mapping):
        return dict(state)
    dump = getattr(state, "model_dump", None)
    if dump is not None:
        known = dump(mode="json", exclude_none=True)
        return {key: known[key] for key in _STATE_FIELDS if key in known}
    return cast(dict[str, Any], state.to_body())


_STATE_FIELDS = ("type", "name", "message", "data", "state_details")
