"""Writing block documents: what they refer to, what stays secret, what is merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from penstock.contract.rest.blocks import BlockDocumentCreate, BlockDocumentUpdate
from penstock.core import documents
from penstock.core.block_schemas import secret_paths, with_kept_secrets
from penstock.core.errors import BadRequest, Conflict, NotFound
from penstock.store import block_documents as store
from penstock.store.block_schemas import select_block_schema
from penstock.store.block_types import select_block_type
from penstock.store.secrets import secrets_of
from penstock.store.statements import Row
from penstock.store.transaction import Stale, Transaction


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """What a document is to hold: encrypted, with what it refers to apart."""

    data: str
    schema_id: UUID
    references: dict[str, UUID]
    #: the stored data that this was made from; None for a new document
    seen: str | None = None


def required_block_document(tx: Transaction, id: UUID) -> Row:
    """The row of a block document with its type; raises NotFound."""
    row = store.select_block_document(tx, id)
    if row is None:
        raise NotFound(f"There is no block document {id}")
    return row


def required_block_document_by_name(tx: Transaction, slug: str, name: str) -> Row:
    """The row of the document of this name and type; raises NotFound."""
    row = store.select_block_document_by_name(tx, slug, name)
    if row is None:
        raise NotFound(f"There is no block document {name!r} of the type {slug!r}")
    return row


# ------------------------------------------------------------------ creating


def prepare_block_document(tx: Transaction, body: BlockDocumentCreate) -> PreparedDocument:
    """Lay out a new document.

    Raises Conflict (409) for an unknown type, schema or document that it refers to, BadRequest
    (400) for a reference that is none, Misconfigured when the key for secrets is missing.
    """
    if select_block_type(tx, body.block_type_id) is None:
        raise Conflict(f"There is no block type {body.block_type_id}")
    schema = select_block_schema(tx, body.block_schema_id)
    if schema is None:
        raise Conflict(f"There is no block schema {body.block_schema_id}")
    if schema.block_type_id != body.block_type_id:
        raise Conflict("The block schema is of another block type than the document")
    own, references = _apart(body.data)
    _check_references(tx, None, references)
    return PreparedDocument(_encrypted(tx, own), schema.id, references)


def create_block_document(
    tx: Transaction, body: BlockDocumentCreate, prepared: PreparedDocument, now: datetime
) -> UUID:
    """Create a document; its id. Conflict (409) when its type has one of this name."""
    secrets_of(tx).claim(tx)
    name = body.name or f"anonymous-{uuid4()}"
    if store.select_document_exists(tx, body.block_type_id, name):
        raise Conflict(f"There is a block document {name!r} of this type already")
    values = {
        "name": name,
        "data": prepared.data,
        "is_anonymous": body.is_anonymous,
        "block_type_id": body.block_type_id,
        "block_schema_id": prepared.schema_id,
    }
    id = store.insert_block_document(tx, values, now)
    if prepared.references:
        store.replace_references(tx, id, prepared.references, now)
    return id


def _encrypted(tx: Transaction, data: Mapping[str, Any]) -> str:
    return secrets_of(tx).encrypt(tx, documents.dump(data))


def _apart(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, UUID]]:
    """The document's own values, and the documents that stand in it by reference."""
    own, references = {}, {}
    for name, value in data.items():
        target = value.get("$ref") if isinstance(value, dict) else None
        if isinstance(target, dict) and "block_document_id" in target:
            references[name] = _id(name, target["block_document_id"])
        else:
            own[name] = value
    return own, references


def _id(name: str, text: Any) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise BadRequest(
            f"{name!r} refers to a block document by something that is no id"
        ) from None


def _check_references(tx: Transaction, parent: UUID | None, references: Mapping[str, UUID]) -> None:
    """Raise Conflict (409) for an unknown document, BadRequest (400) for a circle of references."""
    wanted = set(references.values())
    if not wanted:
        return
    if missing := wanted - store.select_existing_ids(tx, list(wanted)):
        raise Conflict(f"There is no block document {min(missing)} to refer to")
    tree = store.DocumentTree(tx, store.select_block_document_rows(tx, list(wanted)))
    tree.weigh(references.values())
    seen: set[UUID] = set()
    for _ in range(store.MAX_NESTING):
        if parent in wanted:
            raise BadRequest("The block document would refer to itself, directly or by others")
        seen |= wanted
        wanted = {row.child_id for row in store.select_references(tx, list(wanted))} - seen
        if not wanted:
            return
    raise BadRequest(f"Block documents refer to others at most {store.MAX_NESTING} deep")


# ------------------------------------------------------------------ changing


def prepare_block_document_update(
    tx: Transaction, id: UUID, body: BlockDocumentUpdate
) -> PreparedDocument:
    """Lay out a document as it is to become.

    What `data` does not name stays, unless all is to be replaced; a secret that came back as
    asterisks keeps its value. Raises NotFound, BadRequest (400) for a schema of another type, and
    as `prepare_block_document`.
    """
    row = required_block_document(tx, id)
    schema_id = body.block_schema_id or row.block_schema_id
    schema = select_block_schema(tx, schema_id)
    if schema is None or schema.block_type_id != row.block_type_id:
        raise BadRequest(f"There is no block schema {schema_id} of the document's block type")
    old = store.DocumentTree(tx, [row])
    own, references = _apart(_restored(old, id, body.data, documents.load(schema.fields)))
    before = old.own_data(id)
    kept = old.references(id)
    for name, child in kept.items():
        # Read, changed elsewhere and sent back: what was shown in its place still refers to it.
        if name in own and old.shows(child, own[name]):
            references[name] = child
            del own[name]
    if body.merge_existing_data:
        own = {name: value for name, value in before.items() if name not in references} | own
        references = {name: to for name, to in kept.items() if name not in own} | references
    _check_references(tx, id, references)
    return PreparedDocument(_encrypted(tx, own), schema_id, references, row.data)


def _restored(
    old: store.DocumentTree, id: UUID, data: dict[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    """The new data with the old secrets where they came back as asterisks."""
    paths = list(dict.fromkeys(old.secret_paths(id) + secret_paths(fields)))
    return with_kept_secrets(data, old.data(id, include_secrets=True), paths)


def update_block_document(
    tx: Transaction, id: UUID, prepared: PreparedDocument, now: datetime
) -> None:
    """Change a document. Raises Stale when it has changed since it was prepared."""
    secrets_of(tx).claim(tx)
    assert prepared.seen is not None
    changed = store.update_block_document(
        tx, id, prepared.data, prepared.schema_id, seen=prepared.seen, now=now
    )
    if not changed:
        raise Stale
    store.replace_references(tx, id, prepared.references, now)


def delete_block_document(tx: Transaction, id: UUID) -> None:
    """Delete a document; others lose their references to it. Raises NotFound."""
    if not store.delete_block_document(tx, id):
        raise NotFound(f"There is no block document {id}")
