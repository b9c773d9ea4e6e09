"""Filters of blocks made into WHERE conditions. Each gives None when every row will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, false, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from penstock.store.filters import Condition, among, ids_condition, joined
from penstock.store.tables import block_document, block_schema, block_type

if TYPE_CHECKING:
    from penstock.contract.rest import blocks as wire


class holds_text(FunctionElement[bool]):
    """Whether a document, which is an array of texts, holds this one."""

    type = Boolean()
    inherit_cache = True


@compiles(holds_text, "sqlite")
def _holds_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(part, **options) for part in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE json_each.value = {text})"


@compiles(holds_text, "postgresql")
def _holds_postgres(element: Any, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(part, **options) for part in element.clauses)
    return f"{text} IN (SELECT json_array_elements_text(({column})::json))"


def _any_of(column: Column[Any], filter: Any) -> Condition | None:
    if filter is None or filter.any_ is None:
        return None
    return among(column, filter.any_) if filter.any_ else false()


def _like(column: Column[Any], part: str | None) -> Condition | None:
    return None if part is None else column.icontains(part, autoescape=True)


def block_type_condition(filter: wire.BlockTypeFilter | None) -> Condition | None:
    """Which block types."""
    if filter is None:
        return None
    name = None if filter.name is None else _like(block_type.c.name, filter.name.like_)
    return joined(filter, [name, _any_of(block_type.c.slug, filter.slug)])


def block_schema_condition(filter: wire.BlockSchemaFilter | None) -> Condition | None:
    """Which block schemas."""
    if filter is None:
        return None
    schema = block_schema.c
    conditions = [
        ids_condition(schema.block_type_id, filter.block_type_id),
        _capable(filter.block_capabilities),
        ids_condition(schema.id, filter.id),
        _any_of(schema.version, filter.version),
    ]
    return joined(filter, conditions)


def _capable(filter: wire.BlockSchemaFilterCapabilities | None) -> Condition | None:
    if filter is None or filter.all_ is None:
        return None
    wanted = dict.fromkeys(filter.all_)
    # not `joined(filter, ...)`: all of them are wanted, whatever joins the criteria
    return joined(None, [holds_text(block_schema.c.capabilities, literal(c)) for c in wanted])


def block_document_condition(filter: wire.BlockDocumentFilter | None) -> Condition | None:
    """Which block documents; without a filter all that are not anonymous."""
    if filter is None:
        from penstock.contract.rest import blocks

        filter = blocks.BlockDocumentFilter()
    document = block_document.c
    anonymous = filter.is_anonymous and filter.is_anonymous.eq_
    name = filter.name
    conditions = [
        ids_condition(document.id, filter.id),
        None if anonymous is None else document.is_anonymous.is_(anonymous),
        ids_condition(document.block_type_id, filter.block_type_id),
        _any_of(document.name, name),
        None if name is None else _like(document.name, name.like_),
    ]
    return joined(filter, conditions)
