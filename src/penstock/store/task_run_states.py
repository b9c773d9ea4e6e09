"""Statements that change a task run's state on the server's side. Reports: `task_runs`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, func, select, update

from penstock.core.states import State
from penstock.store.statements import Row, Statement
from penstock.store.states import INSERT_STATE, state_values
from penstock.store.tables import flow_run, state, task_run
from penstock.store.transaction import Stale, Transaction

_RUN = task_run.c
_of_flow = state.alias("of_flow")
#: what the rules need to know of a task run and of its flow run, in one row
_FACTS: Select[Any] = (
    select(
        *[c for c in _RUN if c.name not in ("workspace_id", "labels", "task_inputs")],
        state.c.message.label("state_message"),
        state.c.data.label("state_data"),
        state.c.state_details,
        flow_run.c.run_count.label("flow_run_count"),
        _of_flow.c.id.label("flow_state_id"),
        _of_flow.c.type.label("flow_state_type"),
        _of_flow.c.name.label("flow_state_name"),
        _of_flow.c.timestamp.label("flow_state_timestamp"),
        _of_flow.c.state_details.label("flow_state_details"),
    )
    .select_from(task_run)
    .outerjoin(
        state,
        and_(
            state.c.run_id == func.coalesce(_RUN.flow_run_id, _RUN.id, type_=_RUN.id.type),
            state.c.id == _RUN.state_id,
        ),
    )
    .outerjoin(flow_run, flow_run.c.id == _RUN.flow_run_id)
    .outerjoin(
        _of_flow, and_(_of_flow.c.run_id == flow_run.c.id, _of_flow.c.id == flow_run.c.state_id)
    )
    .where(_RUN.id == bindparam("id"))
)
_SELECT_FACTS = Statement(_FACTS)


def select_task_run_facts(tx: Transaction, id: UUID) -> Row | None:
    """A task run, its current state and its flow run's, for the rules; None: it is not there."""
    return tx.row(_SELECT_FACTS, id=id)


@lru_cache(maxsize=64)
def _update(columns: tuple[str, ...], *, seen: bool) -> Statement:
    change = update(task_run).where(_RUN.id == bindparam("task_run_id", type_=_RUN.id.type))
    if seen:
        state_id = bindparam("seen_state_id", type_=_RUN.state_id.type)
        change = change.where(_RUN.state_id.is_not_distinct_from(state_id))
    return Statement(change.values({c: bindparam(f"new_{c}", type_=_RUN[c].type) for c in columns}))


def update_task_run(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> int:
    """Set columns of a task run; 0 when it is not there."""
    params = {f"new_{k}": v for k, v in changes.items()}
    return tx.run(_update(tuple(sorted(changes)), seen=False), task_run_id=id, **params)


def update_task_run_state(
    tx: Transaction, row: Row, new: State, changes: Mapping[str, Any]
) -> None:
    """Write a new state if the task run is still in the one `row` has; else raise Stale."""
    params = {f"new_{k}": v for k, v in changes.items()}
    statement = _update(tuple(sorted(changes)), seen=True)
    if not tx.run(statement, task_run_id=row.id, seen_state_id=row.state_id, **params):
        raise Stale
    tx.run(INSERT_STATE, **state_values(new, row.flow_run_id or row.id, row.id))
