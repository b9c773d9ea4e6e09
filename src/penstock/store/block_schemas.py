"""Statements of block schemas: their fields are kept complete, spelt as they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql

from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.block_conditions import block_schema_condition
from penstock.store.block_types import block_type_shape
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, block_schema, block_type
from penstock.store.transaction import Transaction

if TYPE_CHECKING:
    from penstock.contract.rest.blocks import BlockSchemaFilter

#: the columns of a block type beside those of something else
TYPE_COLUMNS = [c.label(f"type_{c.name}") for c in block_type.c]
_WITH_TYPE = select(*block_schema.c, *TYPE_COLUMNS).join(
    block_type, block_type.c.id == block_schema.c.block_type_id
)
_VALUES = {c.name: bindparam(c.name, type_=c.type) for c in block_schema.c}
_INSERT = Statement(insert(block_schema).values(_VALUES))
_INSERT_MISSING = Statement(
    postgresql.insert(block_schema).values(_VALUES).on_conflict_do_nothing()
)
_ID = block_schema.c.id == bindparam("id", type_=block_schema.c.id.type)
_CHECKSUM = (
    block_schema.c.workspace_id == WORKSPACE,
    block_schema.c.checksum == bindparam("checksum"),
)
_NEWEST_FIRST = (block_schema.c.created.desc(), block_schema.c.id.desc())
_SELECT = Statement(_WITH_TYPE.where(_ID))
_SELECT_NEWEST = Statement(_WITH_TYPE.where(*_CHECKSUM).order_by(*_NEWEST_FIRST).limit(1))
_SELECT_BY_CHECKSUM = Statement(
    _WITH_TYPE.where(*_CHECKSUM, block_schema.c.version == bindparam("version"))
)
_DELETE = Statement(delete(block_schema).where(_ID))
_DELETE_OF_TYPE = Statement(
    delete(block_schema).where(
        block_schema.c.block_type_id == bindparam("type_id", type_=block_schema.c.id.type)
    )
)
_SELECT_CAPABILITIES = Statement(select(block_schema.c.capabilities).distinct())


def block_schema_shape(row: Any) -> dict[str, Any]:
    """The BlockSchema of a row joined with its type."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "checksum": row.checksum,
        "fields": documents.Fragment(row.fields),
        "block_type_id": row.block_type_id,
        "block_type": block_type_shape(row, "type_"),
        "capabilities": documents.Fragment(row.capabilities),
        "version": row.version,
    }


def _values(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    times = {"created": now, "updated": now}
    return {"id": new_id(now), "workspace_id": WORKSPACE, **times, **values}


def insert_block_schema(tx: Transaction, values: Mapping[str, Any], now: datetime) -> UUID:
    """Insert a block schema; its id. Conflict when its checksum and version are taken."""
    row = _values(values, now)
    tx.run(_INSERT, **row)
    id: UUID = row["id"]
    return id


def insert_missing_block_schemas(
    tx: Transaction, many: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Insert those block schemas whose checksums and versions are not taken."""
    tx.run_many(_INSERT_MISSING, [_values(values, now) for values in many])


def select_block_schema(tx: Transaction, id: UUID) -> Row | None:
    """The row of a block schema with its type; None when there is none."""
    return tx.row(_SELECT, id=id)


def select_block_schema_by_checksum(
    tx: Transaction, checksum: str, version: str | None
) -> Row | None:
    """The row of the schema with this checksum and version, of the newest without a version."""
    if version is None:
        return tx.row(_SELECT_NEWEST, checksum=checksum)
    return tx.row(_SELECT_BY_CHECKSUM, checksum=checksum, version=version)


def select_block_schemas(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """The rows of these schemas with their types, by id."""
    if len(ids) == 1:  # mostly; then nothing has to be rendered
        return {row.id: row for row in tx.rows(_SELECT, id=ids[0])}
    if not ids:
        return {}
    return {row.id: row for row in tx.rows(_WITH_TYPE.where(block_schema.c.id.in_(ids)))}


def page_block_schemas(
    tx: Transaction, filter: BlockSchemaFilter | None, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the block schemas that match, the newest first."""
    query = _WITH_TYPE
    condition = block_schema_condition(filter)
    if condition is not None:
        query = query.where(condition)
    query = query.order_by(*_NEWEST_FIRST).limit(limit).offset(offset)
    return [block_schema_shape(row) for row in tx.rows(query)]


def select_capabilities(tx: Transaction) -> list[str]:
    """All capabilities that some schema has, in order."""
    lists = (documents.load(row.capabilities) for row in tx.rows(_SELECT_CAPABILITIES))
    return sorted({capability for listed in lists for capability in listed})


def delete_block_schema(tx: Transaction, id: UUID) -> bool:
    """Delete a block schema, of which there must be no documents; False when there was none."""
    return tx.run(_DELETE, id=id) > 0


def delete_block_schemas_of_type(tx: Transaction, type_id: UUID) -> None:
    """Delete the schemas of a block type."""
    tx.run(_DELETE_OF_TYPE, type_id=type_id)
