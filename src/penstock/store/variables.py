"""Statements of variables, and rows <-> shape."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update

from penstock.contract.enums import VariableSort
from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.filters import Condition
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, variable
from penstock.store.transaction import Transaction

_OURS = variable.c.workspace_id == WORKSPACE
_SELECT = Statement(select(variable).where(variable.c.id == bindparam("id")))
_SELECT_BY_NAME = Statement(select(variable).where(_OURS, variable.c.name == bindparam("name")))
_INSERT = Statement(
    insert(variable).values({c.name: bindparam(c.name, type_=c.type) for c in variable.c})
)
_KEYS: dict[VariableSort, list[Any]] = {
    VariableSort.CREATED_DESC: [variable.c.created.desc(), variable.c.id.desc()],
    VariableSort.UPDATED_DESC: [variable.c.updated.desc(), variable.c.id.desc()],
    VariableSort.NAME_DESC: [variable.c.name.desc()],
    VariableSort.NAME_ASC: [variable.c.name.asc()],
}


def variable_shape(row: Row) -> dict[str, Any]:
    """Variable as the wire has it."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "value": documents.Fragment(row.value),
        "tags": documents.Fragment(row.tags),
    }


def select_variable(tx: Transaction, id_or_name: UUID | str) -> Row | None:
    """The variable with this id or of this name; None when there is none."""
    if isinstance(id_or_name, UUID):
        return tx.row(_SELECT, id=id_or_name)
    return tx.row(_SELECT_BY_NAME, name=id_or_name)


def select_variable_values(tx: Transaction, names: Collection[str]) -> dict[str, Any]:
    """The values of those of the named variables that exist."""
    if not names:
        return {}
    query = select(variable.c.name, variable.c.value).where(
        _OURS, variable.c.name.in_(sorted(names))
    )
    return {row.name: documents.load(row.value) for row in tx.rows(query)}


def insert_variable(tx: Transaction, name: str, value: Any, tags: list[str], now: datetime) -> UUID:
    """Insert a variable; its id. A name that is taken is a Conflict."""
    id = new_id(now)
    tx.run(
        _INSERT,
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        updated=now,
        name=name,
        value=documents.dump(value),
        tags=documents.dump(tags),
    )
    return id


def update_variable(tx: Transaction, id: UUID, changes: Mapping[str, Any], now: datetime) -> bool:
    """Change these columns; False when there is no such variable."""
    values = {
        column: value if column == "name" else documents.dump(value)
        for column, value in changes.items()
    }
    query = update(variable).where(variable.c.id == id).values(**values, updated=now)
    return bool(tx.run(query))


def delete_variable(tx: Transaction, id_or_name: UUID | str) -> bool:
    """Delete a variable by its id or name; False when there is none."""
    if isinstance(id_or_name, UUID):
        return bool(tx.run(delete(variable).where(variable.c.id == id_or_name)))
    return bool(tx.run(delete(variable).where(_OURS, variable.c.name == id_or_name)))


def page_variables(
    tx: Transaction, condition: Condition | None, sort: VariableSort, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the variables that match."""
    if limit == 0:
        return []
    query = select(variable).where(_OURS)
    if condition is not None:
        query = query.where(condition)
    query = query.order_by(*_KEYS[sort]).limit(limit).offset(offset)
    return [variable_shape(row) for row in tx.rows(query)]


def count_variables(tx: Transaction, condition: Condition | None) -> int:
    """How many variables match."""
    query = select(func.count().label("variables")).select_from(variable).where(_OURS)
    return int(tx.value(query if condition is None else query.where(condition)))
