"""The task run that stands for a subflow in the flow run around it follows the subflow's run."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.ids import new_id
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, moment
from penstock.core.task_run_reports import TaskRunReport
from penstock.operations.task_runs import record_task_run_events
from penstock.store.statements import Row
from penstock.store.task_runs import select_task_runs_by_ids
from penstock.store.transaction import Transaction

_TICK = timedelta(microseconds=1)
#: what a state says of its own run only
_OWN = ("flow_run_id", "task_run_id", "child_flow_run_id", "transition_id")


def follow_subflow(
    tx: Transaction, parent_task_run_id: UUID, child_id: UUID, state: State, now: datetime
) -> None:
    """Give the parent task run the state that its subflow's run has entered.

    Nothing happens when there is no such task run.
    """
    found = select_task_runs_by_ids(tx, [parent_task_run_id])
    if found:
        record_task_run_events(tx, [_report(found[0], child_id, state, now)], now)


def _report(row: Row, child_id: UUID, followed: State, now: datetime) -> TaskRunReport:
    # what was reported before may come of a clock that is ahead
    at = now if row.state_timestamp is None else max(now, row.state_timestamp + _TICK)
    details = {k: v for k, v in followed.details.items() if k not in _OWN}
    state = State(
        new_id(now),
        followed.type,
        followed.name,
        at,
        followed.message,
        followed.data,
        {**details, "child_flow_run_id": child_id},
    )
    columns = _columns(row, state)
    return TaskRunReport(
        row.id, row.flow_run_id, row.task_key, row.dynamic_key, state, None, columns
    )


def _columns(row: Row, state: State) -> dict[str, Any]:
    at, type = state.timestamp, state.type
    runs, ends = type is StateType.RUNNING, type in TERMINAL_STATE_TYPES
    ran = row.state_type == StateType.RUNNING
    seconds = (at - row.state_timestamp).total_seconds() if ran else 0.0
    return {
        "task_key": row.task_key,
        "dynamic_key": row.dynamic_key,
        "state_id": state.id,
        "state_type": type,
        "state_name": state.name,
        "state_timestamp": at,
        "run_count": row.run_count + runs,
        "start_time": row.start_time or (at if runs or ends else None),
        "end_time": (row.end_time or at) if ends else None,
        "total_run_time": row.total_run_time + seconds,
        "next_scheduled_start_time": (
            moment(state, "scheduled_time") if type is StateType.SCHEDULED else None
        ),
    }
