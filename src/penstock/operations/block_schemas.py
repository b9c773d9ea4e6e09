"""Writing block schemas, and those that are nested in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.blocks import NON_VERSIONED, BlockSchemaCreate
from penstock.core import documents
from penstock.core.block_schemas import block_schema_checksum, nested_schemas, secret_paths
from penstock.core.errors import BadRequest, Conflict, Forbidden, NotFound
from penstock.operations.block_types import CHUNK
from penstock.store import block_schemas as store
from penstock.store.block_documents import delete_documents_of_schema
from penstock.store.block_types import select_block_type, select_block_type_ids
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

#: what may be nested in one schema; each nested one is stored with all that it refers to
MAX_NESTED = 100
MAX_NESTED_CHARACTERS = 4 * 2**20
#: each is looked for in all that a document holds
MAX_SECRETS = 1_000


@dataclass(frozen=True, slots=True)
class PreparedSchema:
    """A schema with its checksum, and those that are nested in it: (slug of the type, columns)."""

    values: dict[str, Any]
    nested: list[tuple[str, dict[str, Any]]]


def required_block_schema(tx: Transaction, id: UUID) -> Row:
    """The row of a block schema with its type; raises NotFound."""
    row = store.select_block_schema(tx, id)
    if row is None:
        raise NotFound(f"There is no block schema {id}")
    return row


def required_block_schema_by_checksum(tx: Transaction, checksum: str, version: str | None) -> Row:
    """The row of a schema by checksum and version, the newest without one; raises NotFound."""
    row = store.select_block_schema_by_checksum(tx, checksum, version)
    if row is None:
        of_version = "" if version is None else f" and the version {version!r}"
        raise NotFound(f"There is no block schema with the checksum {checksum!r}{of_version}")
    return row


def schema_values(
    type_id: UUID, fields: dict[str, Any], capabilities: list[str], version: str
) -> dict[str, Any]:
    """The columns of a block schema that its maker decides on."""
    return {
        "block_type_id": type_id,
        "checksum": block_schema_checksum(fields),
        "fields": documents.dump({"block_schema_references": {}, **fields}),
        "capabilities": documents.dump(list(dict.fromkeys(capabilities))),
        "version": version,
    }


def prepare_block_schema(_: Transaction, body: BlockSchemaCreate) -> PreparedSchema:
    """Take a schema apart. Raises BadRequest (400) when there is too much of it to work with."""
    if len(secret_paths(body.fields)) > MAX_SECRETS:
        raise BadRequest(f"A block schema names at most {MAX_SECRETS} secret fields")
    own = schema_values(body.block_type_id, body.fields, body.capabilities, body.version)
    nested: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for slug, inner in nested_schemas(body.fields):
        values = schema_values(body.block_type_id, inner, [], NON_VERSIONED)
        size += len(values["fields"])
        if len(nested) == MAX_NESTED or size > MAX_NESTED_CHARACTERS:
            raise BadRequest(
                f"A block schema holds at most {MAX_NESTED} others, of {MAX_NESTED_CHARACTERS:,} "
                "characters together"
            )
        nested.append((slug, values))
    return PreparedSchema(own, nested)


def create_block_schema(
    tx: Transaction, prepared: PreparedSchema, now: datetime
) -> tuple[dict[str, Any], bool]:
    """Create a schema and those nested in it, or return the one that is known; whether it is new.

    Raises NotFound for its type, Conflict (409) for the unknown type of a nested schema.
    """
    values = prepared.values
    if select_block_type(tx, values["block_type_id"]) is None:
        raise NotFound(f"There is no block type {values['block_type_id']}")
    checksum, version = values["checksum"], values["version"]
    known = store.select_block_schema_by_checksum(tx, checksum, version)
    if known is not None:
        return store.block_schema_shape(known), False
    _create_nested(tx, prepared.nested, now)
    id = store.insert_block_schema(tx, values, now)
    return store.block_schema_shape(required_block_schema(tx, id)), True


def _create_nested(
    tx: Transaction, nested: Sequence[tuple[str, dict[str, Any]]], now: datetime
) -> None:
    if not nested:
        return
    type_ids = select_block_type_ids(tx, sorted({slug for slug, _ in nested}))
    for slug, inner in nested:
        if slug not in type_ids:
            raise Conflict(f"The block type {slug!r} in the schema is unknown; register it first")
        values = inner | {"block_type_id": type_ids[slug]}
        # A client registers the blocks that it nests by itself, in a version of its own.
        if store.select_block_schema_by_checksum(tx, values["checksum"], None) is None:
            store.insert_missing_block_schemas(tx, [values], now)


def check_deletable(tx: Transaction, id: UUID) -> None:
    """Raise NotFound, or Forbidden (403) for a schema of a type that clients rely on."""
    if required_block_schema(tx, id).type_is_protected:
        raise Forbidden("This schema's block type is protected: the schema cannot be deleted")


def delete_block_schema(tx: Transaction, id: UUID) -> bool:
    """Delete a schema with its documents; False while documents are left to delete."""
    if delete_documents_of_schema(tx, id, CHUNK) == CHUNK:
        return False
    store.delete_block_schema(tx, id)
    return True
