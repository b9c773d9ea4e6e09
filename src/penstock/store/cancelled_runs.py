"""Statements about what cancelled runs leave behind, and runs that are never quite cancelled."""

from datetime import datetime

from sqlalchemy import BindParameter, Boolean, ColumnElement, bindparam, literal_column, select

from penstock.contract.enums import TERMINAL_STATE_TYPES
from penstock.store.statements import Row, Statement
from penstock.store.tables import flow_run, task_run
from penstock.store.transaction import Transaction

# as text: lists and free parameters do not mix
_ENDED = ", ".join(sorted(f"'{t.value}'" for t in TERMINAL_STATE_TYPES))
# spelled out, so that the partial index is used
_CANCELLED: ColumnElement[bool] = literal_column("flow_run.state_type = 'CANCELLED'")
_SINCE = flow_run.c.end_time >= bindparam("since", type_=flow_run.c.end_time.type)
#: one that never ran has no tasks: thousands may be cancelled at once
_HAS_RUN = flow_run.c.run_count > 0
_LIMIT: BindParameter[int] = bindparam("limit")


def _not_in(table: str, types: str) -> ColumnElement[bool]:
    return literal_column(f"{table}.state_type NOT IN ({types})", Boolean)


_SELECT_TASK_RUNS = Statement(
    select(task_run.c.id, task_run.c.state_id)
    .select_from(flow_run)
    .join(task_run, task_run.c.flow_run_id == flow_run.c.id)
    .where(_CANCELLED, _SINCE, _HAS_RUN, _not_in("task_run", _ENDED))
    .limit(_LIMIT)
)
_child = flow_run.alias("child")
_SELECT_SUBFLOW_RUNS = Statement(
    select(_child.c.id, _child.c.state_id)
    .select_from(flow_run)
    .join(task_run, task_run.c.flow_run_id == flow_run.c.id)
    .join(_child, _child.c.parent_task_run_id == task_run.c.id)
    .where(_CANCELLED, _SINCE, _HAS_RUN, _not_in("child", _ENDED + ", 'CANCELLING'"))
    .limit(_LIMIT)
)
_SELECT_STUCK = Statement(
    select(flow_run.c.id, flow_run.c.state_id)
    .where(
        flow_run.c.state_type == "CANCELLING",
        flow_run.c.state_timestamp < bindparam("before", type_=flow_run.c.state_timestamp.type),
    )
    .order_by(flow_run.c.state_timestamp)
    .limit(_LIMIT)
)


def select_left_task_runs(tx: Transaction, since: datetime, limit: int) -> list[Row]:
    """Task runs that have not ended, of flow runs cancelled since then."""
    return tx.rows(_SELECT_TASK_RUNS, since=since, limit=limit)


def select_left_subflow_runs(tx: Transaction, since: datetime, limit: int) -> list[Row]:
    """Flow runs that go on although the flow run around them was cancelled since then."""
    return tx.rows(_SELECT_SUBFLOW_RUNS, since=since, limit=limit)


def select_stuck_cancellations(tx: Transaction, before: datetime, limit: int) -> list[Row]:
    """Flow runs that have been CANCELLING since before that time, the longest first."""
    return tx.rows(_SELECT_STUCK, before=before, limit=limit)
