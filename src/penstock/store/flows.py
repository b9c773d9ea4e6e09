"""Statements of flows, and rows <-> shape."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, flow, flow_tag
from penstock.store.transaction import Transaction

_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in flow.c}
_INSERT = {
    "sqlite": Statement(sqlite.insert(flow).values(_BINDS).on_conflict_do_nothing()),
    "postgresql": Statement(postgresql.insert(flow).values(_BINDS).on_conflict_do_nothing()),
}
_SELECT = Statement(select(flow).where(flow.c.id == bindparam("id")))
_SELECT_BY_NAME = Statement(
    select(flow).where(flow.c.workspace_id == WORKSPACE, flow.c.name == bindparam("name"))
)
_SELECT_LABELS = Statement(select(flow.c.labels).where(flow.c.id == bindparam("id")))
_UPDATE = Statement(
    update(flow)
    .where(flow.c.id == bindparam("flow_id", type_=flow.c.id.type))
    .values(tags=bindparam("new_tags"), updated=bindparam("now", type_=flow.c.updated.type))
)
_INSERT_TAG = Statement(insert(flow_tag).values(tag=bindparam("tag"), flow_id=bindparam("flow_id")))
_DELETE_TAGS = Statement(delete(flow_tag).where(flow_tag.c.flow_id == bindparam("flow_id")))
_DELETE = Statement(delete(flow).where(flow.c.id == bindparam("id")))


def flow_shape(row: Row) -> dict[str, Any]:
    """Flow as the wire has it."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "tags": documents.Fragment(row.tags),
        "labels": documents.Fragment(row.labels),
    }


def insert_flow(
    tx: Transaction, name: str, tags: list[str], labels: dict[str, Any], now: datetime
) -> bool:
    """Insert a flow; False, and nothing changed, when one of this name exists."""
    id = new_id(now)
    tags = list(dict.fromkeys(tags))
    written = tx.run(
        _INSERT[tx.dialect.name],
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        updated=now,
        name=name,
        tags=documents.dump(tags),
        labels=documents.dump(labels),
    )
    if written:
        tx.run_many(_INSERT_TAG, [{"tag": t, "flow_id": id} for t in tags])
    return bool(written)


def select_flow(tx: Transaction, id: UUID) -> dict[str, Any] | None:
    """One flow; None when there is none with this id."""
    row = tx.row(_SELECT, id=id)
    return None if row is None else flow_shape(row)


def select_flow_by_name(tx: Transaction, name: str) -> dict[str, Any] | None:
    """One flow; None when there is none of this name."""
    row = tx.row(_SELECT_BY_NAME, name=name)
    return None if row is None else flow_shape(row)


def select_flow_labels(tx: Transaction, id: UUID) -> dict[str, Any] | None:
    """A flow's labels; None when there is no such flow."""
    text = tx.value(_SELECT_LABELS, id=id)
    return None if text is None else documents.load(text)


def update_flow_tags(tx: Transaction, id: UUID, tags: list[str], now: datetime) -> bool:
    """Replace a flow's tags; False when there is no such flow."""
    tags = list(dict.fromkeys(tags))
    if not tx.run(_UPDATE, flow_id=id, new_tags=documents.dump(tags), now=now):
        return False
    tx.run(_DELETE_TAGS, flow_id=id)
    tx.run_many(_INSERT_TAG, [{"tag": t, "flow_id": id} for t in tags])
    return True


def delete_flow_row(tx: Transaction, id: UUID) -> bool:
    """Delete a flow's own rows; False when there is none. What belongs to it goes before."""
    tx.run(_DELETE_TAGS, flow_id=id)
    return bool(tx.run(_DELETE, id=id))
