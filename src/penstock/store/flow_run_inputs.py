"""Statements of flow run inputs: what a run waits for from people, and what they answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select

from penstock.core.ids import new_id
from penstock.store.statements import Statement
from penstock.store.tables import flow_run, flow_run_input
from penstock.store.transaction import Transaction

_WHICH = (
    flow_run_input.c.flow_run_id == bindparam("flow_run_id", type_=flow_run_input.c.id.type),
    flow_run_input.c.key == bindparam("key"),
)
_INSERT = Statement(
    insert(flow_run_input).values(
        {c.name: bindparam(c.name, type_=c.type) for c in flow_run_input.c}
    )
)
_SELECT_VALUE = Statement(select(flow_run_input.c.value).where(*_WHICH))
_DELETE = Statement(delete(flow_run_input).where(*_WHICH))
_SELECT_RUN = Statement(select(flow_run.c.id).where(flow_run.c.id == bindparam("id")))


def insert_flow_run_input(
    tx: Transaction, flow_run_id: UUID, key: str, value: str, sender: str | None, now: datetime
) -> bool:
    """Store an input; False when there is no such run. A key that is taken is a Conflict."""
    if tx.value(_SELECT_RUN, id=flow_run_id) is None:
        return False
    tx.run(
        _INSERT,
        id=new_id(now),
        created=now,
        updated=now,
        flow_run_id=flow_run_id,
        key=key,
        value=value,
        sender=sender,
    )
    return True


def select_flow_run_input_value(tx: Transaction, flow_run_id: UUID, key: str) -> str | None:
    """An input's value, as it was sent; None when there is none under this key."""
    value: str | None = tx.value(_SELECT_VALUE, flow_run_id=flow_run_id, key=key)
    return value


def page_flow_run_inputs(
    tx: Transaction, flow_run_id: UUID, prefix: str, limit: int, exclude_keys: Sequence[str]
) -> list[dict[str, Any]]:
    """The inputs of a run whose keys begin so, the oldest first, as FlowRunInput."""
    query = select(flow_run_input).where(flow_run_input.c.flow_run_id == flow_run_id)
    if prefix:
        # LIKE would read % and _ as wildcards, and on SQLite a for A
        query = query.where(func.substr(flow_run_input.c.key, 1, len(prefix)) == prefix)
    if exclude_keys:
        query = query.where(flow_run_input.c.key.not_in(exclude_keys))
    query = query.order_by(flow_run_input.c.created, flow_run_input.c.id).limit(limit)
    return [row._asdict() for row in tx.rows(query)]


def delete_flow_run_input(tx: Transaction, flow_run_id: UUID, key: str) -> bool:
    """Delete an input; False when there is none under this key."""
    return tx.run(_DELETE, flow_run_id=flow_run_id, key=key) > 0


def delete_flow_run_inputs(tx: Transaction, flow_run_id: UUID, limit: int) -> int:
    """Delete up to so many inputs of a run; how many."""
    of_run = flow_run_input.c.flow_run_id == flow_run_id
    few = select(flow_run_input.c.id).where(of_run).limit(limit)
    return tx.run(delete(flow_run_input).where(flow_run_input.c.id.in_(few)))
