"""Flow runs, their states and attempts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import (
    ATTEMPT_HEADER,
    Fields,
    Id,
    deleted_ids,
    given,
    id_of,
    many,
    nothing,
    number,
    number_by_id,
    one,
    optional_number,
    plain,
    plain_text,
    results,
)
from penstock.sdk.calls.states import needed_state_body, scheduled_state, state_body
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.flow_run_graph import DependencyResult, Graph
    from penstock.contract.rest.flow_runs import (
        FlowRunCreateResult,
        FlowRunOrchestrationResult,
        FlowRunPaginationResponse,
        FlowRunResponse,
    )
    from penstock.contract.rest.states import HistoryResponse, OrchestrationResult, State
    from penstock.contract.rest.ui import SimpleFlowRun

FLOW_RUN = ("flow_runs", "FlowRunResponse")
STATE = ("states", "State")
ORCHESTRATION_RESULT = ("states", "OrchestrationResult")


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
    body = given(
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
    return Call("POST", path, id_of, body, repeatable=idempotency_key is not None)


def create_flow_runs(deployment_id: Id, runs: Sequence[Fields]) -> Call[list[FlowRunCreateResult]]:
    """Creates up to 100 runs of a deployment; says of each its id, or why there is none."""
    path = f"{_create_from_deployment(deployment_id)}/bulk"
    repeatable = all(run.get("idempotency_key") for run in runs)
    parse = results("flow_runs", "FlowRunBulkCreateResponse")
    return Call("POST", path, parse, runs, repeatable=repeatable)


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
    return Call("POST", "/flow_runs/count", number, filter_body)


def update_flow_run(flow_run_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the flow run."""
    return Call("PATCH", f"/flow_runs/{flow_run_id}", nothing, fields)


def update_flow_run_labels(flow_run_id: Id, labels: Fields) -> Call[None]:
    """Merges labels into the flow run's."""
    return Call("PATCH", f"/flow_runs/{flow_run_id}/labels", nothing, labels)


def delete_flow_run(flow_run_id: Id) -> Call[None]:
    """Deletes the flow run."""
    return Call("DELETE", f"/flow_runs/{flow_run_id}", nothing)


def set_flow_run_state(
    flow_run_id: Id, state: Any, force: bool = False, *, attempt_id: Id | None = None
) -> Call[OrchestrationResult]:
    """Proposes a state; the answer says ACCEPT, REJECT, WAIT or ABORT.

    `state` is a type name, a mapping or a state object. A transition id is added, so that a
    repetition is recognised by the server.
    """
    body = needed_state_body(state)
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
    return Call("POST", f"/penstock/attempts/{attempt_id}/renew", plain, timeout_seconds=10)


def read_flow_run_state(state_id: Id) -> Call[State]:
    """The state with this id."""
    return Call("GET", f"/flow_run_states/{state_id}", one(*STATE))


def paginate_flow_runs(**filter_body: Any) -> Call[FlowRunPaginationResponse]:
    """One `page` of the flow runs that match, with the count of all."""
    parse = one("flow_runs", "FlowRunPaginationResponse")
    return Call("POST", "/flow_runs/paginate", parse, filter_body)


def read_flow_run_history(
    *,
    history_start: datetime,
    history_end: datetime,
    history_interval_seconds: float,
    **filter_body: Any,
) -> Call[list[HistoryResponse]]:
    """How many of the matching flow runs are in which state, interval by interval."""
    body = {
        **filter_body,
        "history_start": history_start,
        "history_end": history_end,
        "history_interval_seconds": history_interval_seconds,
    }
    return Call("POST", "/flow_runs/history", many("states", "HistoryResponse"), body)


def read_average_lateness(**filter_body: Any) -> Call[float | None]:
    """How many seconds the matching flow runs start late on average; None without runs."""
    return Call("POST", "/flow_runs/lateness", optional_number, filter_body)


def bulk_delete_flow_runs(**filter_body: Any) -> Call[list[uuid.UUID]]:
    """Deletes up to `limit` flow runs that match `flow_runs`; gives their ids."""
    return Call("POST", "/flow_runs/bulk_delete", deleted_ids, filter_body, repeatable=False)


def bulk_set_flow_run_state(
    state: Any, *, force: bool = False, **filter_body: Any
) -> Call[list[FlowRunOrchestrationResult]]:
    """Proposes a state to up to `limit` flow runs that match `flow_runs`; the answer of each."""
    body = {**filter_body, "state": needed_state_body(state), "force": force}
    parse = results("flow_runs", "FlowRunBulkSetStateResponse")
    return Call("POST", "/flow_runs/bulk_set_state", parse, body, repeatable=False)


def read_flow_run_dots(**filter_body: Any) -> Call[list[SimpleFlowRun]]:
    """The matching flow runs as dots of a chart: when, how long and how late."""
    return Call("POST", "/ui/flow_runs/history", many("ui", "SimpleFlowRun"), filter_body)


def count_task_runs_by_flow_run(flow_run_ids: Sequence[Id]) -> Call[dict[uuid.UUID, int]]:
    """How many task runs each flow run has."""
    path = "/ui/flow_runs/count-task-runs"
    return Call("POST", path, number_by_id, {"flow_run_ids": flow_run_ids})


def download_logs(flow_run_id: Id) -> Call[str]:
    """All log lines of the flow run as CSV text, the oldest first."""
    return Call("GET", f"/flow_runs/{flow_run_id}/logs/download", plain_text)


def read_task_run_dependencies(flow_run_id: Id) -> Call[list[DependencyResult]]:
    """The flow run's task runs, and whose results each takes."""
    parse = many("flow_run_graph", "DependencyResult")
    return Call("GET", f"/flow_runs/{flow_run_id}/graph", parse)


def read_flow_run_graph(flow_run_id: Id, *, since: datetime | None = None) -> Call[Graph]:
    """What ran within the flow run; without the nodes that had ended before `since`."""
    path = f"/flow_runs/{flow_run_id}/graph-v2"
    query = {} if since is None else {"since": since.isoformat()}
    return Call("GET", path, one("flow_run_graph", "Graph"), query=query)
