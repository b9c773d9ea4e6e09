"""The history of runs: statements of the `state` table, and rows <-> shape."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import bindparam, delete, insert, select

from penstock.core import documents
from penstock.core.states import State
from penstock.store.statements import Row, Statement
from penstock.store.tables import state
from penstock.store.transaction import Transaction

#: every key of StateDetails on the wire, with what it is when nothing is stored
_DETAILS: dict[str, Any] = {
    "flow_run_id": None,
    "task_run_id": None,
    "child_flow_run_id": None,
    "scheduled_time": None,
    "cache_key": None,
    "cache_expiration": None,
    "deferred": False,
    "untrackable_result": False,
    "pause_timeout": None,
    "pause_reschedule": False,
    "pause_key": None,
    "run_input_keyset": None,
    "refresh_cache": None,
    "retriable": None,
    "transition_id": None,
    "task_parameters_id": None,
    "traceparent": None,
    "deployment_concurrency_lease_id": None,
}

INSERT_STATE = Statement(
    insert(state).values({c.name: bindparam(c.name, type_=c.type) for c in state.c})
)
#: doubled reports of one state are ignored
INSERT_STATE_ONCE: dict[str, Statement] = {}

_SELECT_STATES = Statement(
    select(state)
    .where(state.c.run_id == bindparam("run_id"), state.c.task_run_id.is_(None))
    .order_by(state.c.timestamp, state.c.id)
)
_SELECT_TASK_RUN_STATES = Statement(
    select(state)
    .where(state.c.task_run_id == bindparam("task_run_id"))
    .order_by(state.c.timestamp, state.c.id)
)
_SELECT_STATE = Statement(select(state).where(state.c.id == bindparam("id")))
_DELETE_STATES = Statement(delete(state).where(state.c.run_id == bindparam("run_id")))


def details_shape(details: Mapping[str, Any], run_id: UUID | None, task_run_id: UUID | None) -> Any:
    """StateDetails as the wire has them: every key, the run's ids filled in."""
    shape = {**_DETAILS, **details}
    if run_id is not None:
        shape["flow_run_id"] = run_id
    if task_run_id is not None:
        shape["task_run_id"] = task_run_id
    return shape


def state_shape(
    *,
    id: UUID,
    type: str,
    name: str,
    timestamp: datetime,
    message: str | None,
    data: str | None,
    details: Mapping[str, Any],
    run_id: UUID | None,
    task_run_id: UUID | None,
) -> dict[str, Any]:
    """A state as the wire has it."""
    return {
        "id": id,
        "type": type,
        "name": name,
        "timestamp": timestamp,
        "message": message,
        "data": None if data is None else documents.Fragment(data),
        "state_details": details_shape(details, run_id, task_run_id),
    }


def shape_of_state(new: State, run_id: UUID | None, task_run_id: UUID | None) -> dict[str, Any]:
    """A state that was just made, as the wire has it."""
    return state_shape(
        id=new.id,
        type=new.type,
        name=new.name,
        timestamp=new.timestamp,
        message=new.message,
        data=new.data,
        details=new.details,
        run_id=run_id,
        task_run_id=task_run_id,
    )


def shape_of_row(row: Row) -> dict[str, Any]:
    """A row of the `state` table, as the wire has it."""
    flow_run_id = row.run_id if row.run_id != row.task_run_id else None
    return state_shape(
        id=row.id,
        type=row.type,
        name=row.name,
        timestamp=row.timestamp,
        message=row.message,
        data=row.data,
        details=orjson.loads(row.state_details),
        run_id=flow_run_id,
        task_run_id=row.task_run_id,
    )


def state_values(new: State, run_id: UUID, task_run_id: UUID | None = None) -> dict[str, Any]:
    """The columns of a state's row; of its details only those that say something."""
    details = {k: v for k, v in new.details.items() if v is not None and v is not False}
    return {
        "run_id": run_id,
        "id": new.id,
        "task_run_id": task_run_id,
        "type": new.type,
        "name": new.name,
        "timestamp": new.timestamp,
        "message": new.message,
        "data": new.data,
        "state_details": documents.dump(details) if details else documents.EMPTY_OBJECT,
    }


def select_flow_run_states(tx: Transaction, flow_run_id: UUID) -> list[dict[str, Any]]:
    """A flow run's states, oldest first."""
    return [shape_of_row(r) for r in tx.rows(_SELECT_STATES, run_id=flow_run_id)]


def select_task_run_states(tx: Transaction, task_run_id: UUID) -> list[dict[str, Any]]:
    """A task run's states, oldest first."""
    return [shape_of_row(r) for r in tx.rows(_SELECT_TASK_RUN_STATES, task_run_id=task_run_id)]


def select_state(tx: Transaction, state_id: UUID) -> dict[str, Any] | None:
    """One state of either kind of run; None when there is none with this id."""
    row = tx.row(_SELECT_STATE, id=state_id)
    return None if row is None else shape_of_row(row)


def delete_states(tx: Transaction, run_id: UUID) -> None:
    """Forget the history of a flow run and of its task runs."""
    tx.run(_DELETE_STATES, run_id=run_id)
