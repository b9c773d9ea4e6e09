"""Writing block types."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.blocks import BlockTypeCreate, BlockTypeUpdate
from penstock.core.errors import Conflict, Forbidden, NotFound
from penstock.store import block_types as store
from penstock.store.block_documents import delete_documents_of_type
from penstock.store.block_schemas import delete_block_schemas_of_type
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

#: names that begin so, in upper or lower case, are kept for what comes with the client
_RESERVED = "prefect"
#: documents deleted in one unit of work
CHUNK = 200


def required_block_type(tx: Transaction, id: UUID) -> Row:
    """The row of a block type; raises NotFound."""
    row = store.select_block_type(tx, id)
    if row is None:
        raise NotFound(f"There is no block type {id}")
    return row


def required_block_type_by_slug(tx: Transaction, slug: str) -> Row:
    """The row of the block type with this slug; raises NotFound."""
    row = store.select_block_type_by_slug(tx, slug)
    if row is None:
        raise NotFound(f"There is no block type with the slug {slug!r}")
    return row


def create_block_type(tx: Transaction, body: BlockTypeCreate, now: datetime) -> dict[str, Any]:
    """Create a block type. Forbidden (403) for a reserved name, Conflict (409) for a taken slug."""
    if body.name.lower().startswith(_RESERVED):
        raise Forbidden("Block type names that begin with 'Prefect' are reserved")
    if store.select_block_type_by_slug(tx, body.slug) is not None:
        raise Conflict(f"There is a block type with the slug {body.slug!r} already")
    id = store.insert_block_type(tx, body.model_dump(), now)
    return store.block_type_shape(required_block_type(tx, id))


def update_block_type(tx: Transaction, id: UUID, body: BlockTypeUpdate, now: datetime) -> None:
    """Change what was sent. Raises NotFound."""
    row = required_block_type(tx, id)
    sent = body.model_dump(exclude_unset=True)
    changes = {name: value for name, value in sent.items() if getattr(row, name) != value}
    if changes:
        store.update_block_type(tx, id, changes, now)


def check_deletable(tx: Transaction, id: UUID) -> None:
    """Raise NotFound, or Forbidden (403) for a type that clients rely on."""
    if required_block_type(tx, id).is_protected:
        raise Forbidden("This block type is protected: it cannot be deleted")


def delete_block_type(tx: Transaction, id: UUID) -> bool:
    """Delete a type with its schemas and documents; False while documents are left to delete."""
    if delete_documents_of_type(tx, id, CHUNK) == CHUNK:
        return False
    delete_block_schemas_of_type(tx, id)
    store.delete_block_type(tx, id)
    return True
