"""Statements of saved searches, and rows <-> shape."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, saved_search
from penstock.store.transaction import Transaction

_SELECT = Statement(select(saved_search).where(saved_search.c.id == bindparam("id")))
_PAGE = Statement(
    select(saved_search)
    .where(saved_search.c.workspace_id == WORKSPACE)
    .order_by(saved_search.c.name)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_DELETE = Statement(delete(saved_search).where(saved_search.c.id == bindparam("id")))


def _upsert(insert: Any) -> Statement:
    new = insert.values({c.name: bindparam(c.name, type_=c.type) for c in saved_search.c})
    changed = {"filters": new.excluded.filters, "updated": new.excluded.updated}
    return Statement(
        new.on_conflict_do_update(index_elements=["workspace_id", "name"], set_=changed).returning(
            saved_search
        )
    )


_UPSERT = {
    "sqlite": _upsert(sqlite.insert(saved_search)),
    "postgresql": _upsert(postgresql.insert(saved_search)),
}


def saved_search_shape(row: Row) -> dict[str, Any]:
    """SavedSearch as the wire has it."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "filters": documents.Fragment(row.filters),
    }


def upsert_saved_search(
    tx: Transaction, name: str, filters: list[Any], now: datetime
) -> tuple[dict[str, Any], bool]:
    """Insert a search, or replace the filters of the one of this name; and whether it is new."""
    id = new_id(now)
    row = tx.row(
        _UPSERT[tx.dialect.name],
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        updated=now,
        name=name,
        filters=documents.dump(filters),
    )
    assert row is not None  # an upsert gives its row
    return saved_search_shape(row), row.id == id


def select_saved_search(tx: Transaction, id: UUID) -> dict[str, Any] | None:
    """One search; None when there is none with this id."""
    row = tx.row(_SELECT, id=id)
    return None if row is None else saved_search_shape(row)


def page_saved_searches(tx: Transaction, limit: int, offset: int) -> list[dict[str, Any]]:
    """One page of the searches, by name."""
    return [saved_search_shape(row) for row in tx.rows(_PAGE, limit=limit, offset=offset)]


def delete_saved_search(tx: Transaction, id: UUID) -> bool:
    """Delete a search; False when there is none."""
    return bool(tx.run(_DELETE, id=id))
