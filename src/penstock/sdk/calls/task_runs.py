"""Task runs and their states."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Id, many, nothing, number, one
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.states import HistoryResponse, State
    from penstock.contract.rest.task_runs import TaskRun, TaskRunPaginationResponse
    from penstock.contract.rest.ui import CountByState, UITaskRun

TASK_RUN = ("task_runs", "TaskRun")
STATE = ("states", "State")


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
