"""Statements of block types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql

from penstock.core.ids import new_id
from penstock.store.block_conditions import block_schema_condition, block_type_condition
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, block_schema, block_type
from penstock.store.transaction import Transaction

if TYPE_CHECKING:
    from penstock.contract.rest.blocks import BlockSchemaFilter, BlockTypeFilter

_VALUES = {c.name: bindparam(c.name, type_=c.type) for c in block_type.c}
_INSERT = Statement(insert(block_type).values(_VALUES))
_INSERT_MISSING = Statement(postgresql.insert(block_type).values(_VALUES).on_conflict_do_nothing())
_ID = block_type.c.id == bindparam("id", type_=block_type.c.id.type)
_SELECT = Statement(select(block_type).where(_ID))
_SELECT_BY_SLUG = Statement(
    select(block_type).where(
        block_type.c.workspace_id == WORKSPACE, block_type.c.slug == bindparam("slug")
    )
)
_DELETE = Statement(delete(block_type).where(_ID))

_NEW = {
    "workspace_id": WORKSPACE,
    "logo_url": None,
    "documentation_url": None,
    "description": None,
    "code_example": None,
    "is_protected": False,
}


def block_type_shape(row: Any, prefix: str = "") -> dict[str, Any]:
    """The BlockType of a row, or of those columns of a joined row that begin with `prefix`."""
    return {
        name: getattr(row, prefix + name)
        for name in (
            "id",
            "created",
            "updated",
            "name",
            "slug",
            "logo_url",
            "documentation_url",
            "description",
            "code_example",
            "is_protected",
        )
    }


def insert_block_type(tx: Transaction, values: Mapping[str, Any], now: datetime) -> UUID:
    """Insert a block type; its id. Conflict when its slug is taken."""
    id = new_id(now)
    tx.run(_INSERT, **{**_NEW, "id": id, "created": now, "updated": now, **values})
    return id


def insert_missing_block_types(
    tx: Transaction, many: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Insert those block types whose slugs are not taken."""
    rows = [{**_NEW, "id": new_id(now), "created": now, "updated": now, **v} for v in many]
    tx.run_many(_INSERT_MISSING, rows)


def select_block_type(tx: Transaction, id: UUID) -> Row | None:
    """The row of a block type; None when there is none."""
    return tx.row(_SELECT, id=id)


def select_block_type_by_slug(tx: Transaction, slug: str) -> Row | None:
    """The row of the block type with this slug; None when there is none."""
    return tx.row(_SELECT_BY_SLUG, slug=slug)


def select_block_type_ids(tx: Transaction, slugs: Sequence[str]) -> dict[str, UUID]:
    """The ids of those of these block types that exist, by slug."""
    query = select(block_type.c.slug, block_type.c.id).where(
        block_type.c.workspace_id == WORKSPACE, block_type.c.slug.in_(slugs)
    )
    return {row.slug: row.id for row in tx.rows(query)}


def page_block_types(
    tx: Transaction,
    types: BlockTypeFilter | None,
    schemas: BlockSchemaFilter | None,
    limit: int,
    offset: int,
) -> list[dict[str, Any]]:
    """One page of the block types that match and have a schema that does, by name."""
    query = select(block_type)
    condition = block_type_condition(types)
    if condition is not None:
        query = query.where(condition)
    condition = block_schema_condition(schemas)
    if condition is not None:
        of_schemas = select(block_schema.c.block_type_id).where(condition)
        query = query.where(block_type.c.id.in_(of_schemas))
    query = query.order_by(block_type.c.name, block_type.c.id).limit(limit).offset(offset)
    return [block_type_shape(row) for row in tx.rows(query)]


def update_block_type(tx: Transaction, id: UUID, changes: Mapping[str, Any], now: datetime) -> bool:
    """Change some columns; False when there is no such block type."""
    change = update(block_type).where(block_type.c.id == id).values(**changes, updated=now)
    return tx.run(change) > 0


def delete_block_type(tx: Transaction, id: UUID) -> bool:
    """Delete a block type, of which there must be nothing left; False when there was none."""
    return tx.run(_DELETE, id=id) > 0
