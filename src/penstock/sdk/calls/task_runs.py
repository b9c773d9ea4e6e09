"""Task runs and their states."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Id, given, id_of, many, nothing, number, one, plain
from penstock.sdk.calls.states import needed_state_body, state_body
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.states import HistoryResponse, OrchestrationResult, State
    from penstock.contract.rest.task_runs import TaskRun, TaskRunPaginationResponse
    from penstock.contract.rest.task_workers import TaskWorkerResponse
    from penstock.contract.rest.ui import CountByState, UITaskRun

TASK_RUN = ("task_runs", "TaskRun")
STATE = ("states", "State")


def create_task_run(
    task_key: str,
    dynamic_key: str,
    *,
    flow_run_id: Id | None = None,
    state: Any = None,
    **fields: Any,
) -> Call[uuid.UUID]:
    """Creates a task run and gives its id; the same keys in the same flow run give the same id.

    Other fields of the wire (`id`, `name`, `tags`, `labels`, `task_inputs`, ...) go under their
    names. Tasks that a flow calls need none of this: they are reported by events.
    """
    keys = {"task_key": task_key, "dynamic_key": dynamic_key}
    body = keys | given(flow_run_id=flow_run_id, state=state_body(state), **fields)
    return Call("POST", "/task_runs/", id_of, body)


def update_task_run(task_run_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the task run."""
    return Call("PATCH", f"/task_runs/{task_run_id}", nothing, fields)


def set_task_run_state(
    task_run_id: Id, state: Any, force: bool = False
) -> Call[OrchestrationResult]:
    """Proposes a state; the answer says ACCEPT, REJECT, WAIT or ABORT.

    `state` is a type name, a mapping or a state object. A transition id is added, so that a
    repetition is recognised by the server.
    """
    body = needed_state_body(state)
    details = dict(body.get("state_details") or {})
    details.setdefault("transition_id", str(uuid.uuid4()))
    return Call(
        "POST",
        f"/task_runs/{task_run_id}/set_state",
        one("states", "OrchestrationResult"),
        {"state": {**body, "state_details": details}, "force": force},
    )


def read_task_run(task_run_id: Id) -> Call[TaskRun]:
    """The task run with this id."""
    return Call("GET", f"/task_runs/{task_run_id}", one(*TASK_RUN))


def read_task_runs(**filter_body: Any) -> Call[list[TaskRun]]:
    """The task runs that match `task_runs`, `flow_runs`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/task_runs/filter", many(*TASK_RUN), filter_body)


def count_task_runs(**filter_body: Any) -> Call[int]:
    """How many task runs match."""
    return Call("POST", "/task_runs/count", number, filter_body)


def read_task_run_states(task_run_id: Id) -> Call[list[State]]:
    """The task run's states, oldest first."""
    return Call("GET", "/task_run_states/", many(*STATE), query={"task_run_id": str(task_run_id)})


def read_task_run_state(state_id: Id) -> Call[State]:
    """The state with this id."""
    return Call("GET", f"/task_run_states/{state_id}", one(*STATE))


def paginate_task_runs(**filter_body: Any) -> Call[TaskRunPaginationResponse]:
    """One `page` of the task runs that match, with the count of all."""
    parse = one("task_runs", "TaskRunPaginationResponse")
    return Call("POST", "/task_runs/paginate", parse, filter_body)


def read_task_run_history(
    *,
    history_start: datetime,
    history_end: datetime,
    history_interval_seconds: float,
    **filter_body: Any,
) -> Call[list[HistoryResponse]]:
    """How many of the matching task runs are in which state, interval by interval."""
    body = {
        **filter_body,
        "history_start": history_start,
        "history_end": history_end,
        "history_interval_seconds": history_interval_seconds,
    }
    return Call("POST", "/task_runs/history", many("states", "HistoryResponse"), body)


def delete_task_run(task_run_id: Id) -> Call[None]:
    """Deletes the task run."""
    return Call("DELETE", f"/task_runs/{task_run_id}", nothing)


def count_task_runs_by_state(**filter_body: Any) -> Call[CountByState]:
    """How many of the matching task runs are in a state of each type."""
    return Call("POST", "/ui/task_runs/count", one("ui", "CountByState"), filter_body)


def read_ui_task_run(task_run_id: Id) -> Call[UITaskRun]:
    """The task run with this id, with the name of its flow run."""
    return Call("GET", f"/ui/task_runs/{task_run_id}", one("ui", "UITaskRun"))


def count_task_run_outcomes(*, task_runs: Any, **filter_body: Any) -> Call[list[dict[str, int]]]:
    """Completed and failed task runs in twenty intervals since `task_runs.start_time.after_`."""
    body = {"task_runs": task_runs, **filter_body}
    return Call("POST", "/ui/task_runs/dashboard/counts", plain, body)


def read_task_workers(task_keys: Sequence[str] | None = None) -> Call[list[TaskWorkerResponse]]:
    """The task workers that are connected; with `task_keys` those that serve one of them."""
    body = {} if task_keys is None else {"task_worker_filter": {"task_keys": list(task_keys)}}
    parse = many("task_workers", "TaskWorkerResponse")
    return Call("POST", "/task_workers/filter", parse, body)
