"""Blocks: types, schemas, documents; the workers that are known; where results are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from penstock.sdk.calls.answers import (
    Fields,
    Id,
    given,
    id_of,
    many,
    nothing,
    number,
    one,
    plain,
    quoted,
)
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    import uuid

    from penstock.contract.rest.blocks import BlockDocument, BlockSchema, BlockType

TYPE = ("blocks", "BlockType")
SCHEMA = ("blocks", "BlockSchema")
DOCUMENT = ("blocks", "BlockDocument")


def _secrets(include_secrets: bool) -> dict[str, str]:
    return {"include_secrets": "true"} if include_secrets else {}


def create_block_type(*, name: str, slug: str, **fields: Any) -> Call[BlockType]:
    """Creates a block type; raises Conflict when the slug is taken."""
    body = {"name": name, "slug": slug, **fields}
    return Call("POST", "/block_types/", one(*TYPE), body, repeatable=False)


def read_block_type(block_type_id: Id) -> Call[BlockType]:
    """The block type with this id; raises NotFound."""
    return Call("GET", f"/block_types/{block_type_id}", one(*TYPE))


def read_block_type_by_slug(slug: str) -> Call[BlockType]:
    """The block type with this slug; raises NotFound."""
    return Call("GET", f"/block_types/slug/{quoted(slug)}", one(*TYPE))


def read_block_types(**filter_body: Any) -> Call[list[BlockType]]:
    """The block types that match `block_types`, `block_schemas`, `limit`, `offset`."""
    return Call("POST", "/block_types/filter", many(*TYPE), filter_body)


def update_block_type(block_type_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the block type."""
    return Call("PATCH", f"/block_types/{block_type_id}", nothing, fields)


def delete_block_type(block_type_id: Id) -> Call[None]:
    """Deletes the block type, its schemas and documents."""
    return Call("DELETE", f"/block_types/{block_type_id}", nothing)


def install_system_block_types() -> Call[None]:
    """Brings back those of the server's own block types that are missing."""
    return Call("POST", "/block_types/install_system_block_types", nothing)


def read_block_documents_of_type(
    slug: str, *, include_secrets: bool = False
) -> Call[list[BlockDocument]]:
    """The first 200 documents of the block type, by name."""
    path = f"/block_types/slug/{quoted(slug)}/block_documents"
    return Call("GET", path, many(*DOCUMENT), query=_secrets(include_secrets))


def read_block_document_by_name(
    slug: str, name: str, *, include_secrets: bool = False
) -> Call[BlockDocument]:
    """The block type's document with this name; raises NotFound."""
    path = f"/block_types/slug/{quoted(slug)}/block_documents/name/{quoted(name)}"
    return Call("GET", path, one(*DOCUMENT), query=_secrets(include_secrets))


def create_block_schema(
    *,
    block_type_id: Id,
    fields: Fields | None = None,
    capabilities: list[str] | None = None,
    version: str | None = None,
) -> Call[BlockSchema]:
    """Creates the schema, or finds the one with its checksum and version."""
    body = given(fields=fields, capabilities=capabilities, version=version)
    body["block_type_id"] = block_type_id
    return Call("POST", "/block_schemas/", one(*SCHEMA), body)


def read_block_schema(block_schema_id: Id) -> Call[BlockSchema]:
    """The block schema with this id; raises NotFound."""
    return Call("GET", f"/block_schemas/{block_schema_id}", one(*SCHEMA))


def read_block_schema_by_checksum(
    checksum: str, *, version: str | None = None
) -> Call[BlockSchema]:
    """The block schema with this checksum, the newest unless a version is given."""
    path = f"/block_schemas/checksum/{quoted(checksum)}"
    return Call("GET", path, one(*SCHEMA), query=given(version=version))


def read_block_schemas(**filter_body: Any) -> Call[list[BlockSchema]]:
    """The block schemas that match `block_schemas`, `limit`, `offset`, the newest first."""
    return Call("POST", "/block_schemas/filter", many(*SCHEMA), filter_body)


def delete_block_schema(block_schema_id: Id) -> Call[None]:
    """Deletes the block schema and its documents."""
    return Call("DELETE", f"/block_schemas/{block_schema_id}", nothing)


def read_block_capabilities() -> Call[list[str]]:
    """What some block is capable of."""
    return Call("GET", "/block_capabilities/", plain)


def create_block_document(
    *,
    block_type_id: Id,
    block_schema_id: Id,
    name: str | None = None,
    data: Fields | None = None,
    is_anonymous: bool = False,
) -> Call[uuid.UUID]:
    """Saves a block and gives its id; raises Conflict when its type has one of this name."""
    body = {
        "block_type_id": block_type_id,
        "block_schema_id": block_schema_id,
        "is_anonymous": is_anonymous,
        **given(name=name, data=data),
    }
    return Call("POST", "/block_documents/", id_of, body, repeatable=False)


def read_block_document(
    block_document_id: Id, *, include_secrets: bool = False
) -> Call[BlockDocument]:
    """The block document with this id, asterisks in place of its secrets unless asked for."""
    path = f"/block_documents/{block_document_id}"
    return Call("GET", path, one(*DOCUMENT), query=_secrets(include_secrets))


def read_block_documents(**filter_body: Any) -> Call[list[BlockDocument]]:
    """The block documents that match `block_documents`, `block_types`, `block_schemas`.

    Also `include_secrets`, `sort`, `limit`, `offset`.
    """
    return Call("POST", "/block_documents/filter", many(*DOCUMENT), filter_body)


def count_block_documents(**filter_body: Any) -> Call[int]:
    """How many block documents match."""
    return Call("POST", "/block_documents/count", number, filter_body)


def update_block_document(
    block_document_id: Id,
    *,
    data: Fields | None = None,
    block_schema_id: Id | None = None,
    merge_existing_data: bool = True,
) -> Call[None]:
    """Changes the given values of the block; all are replaced without `merge_existing_data`."""
    body = given(data=data, block_schema_id=block_schema_id)
    body["merge_existing_data"] = merge_existing_data
    return Call("PATCH", f"/block_documents/{block_document_id}", nothing, body)


def delete_block_document(block_document_id: Id) -> Call[None]:
    """Deletes the block."""
    return Call("DELETE", f"/block_documents/{block_document_id}", nothing)


def read_result_storage() -> Call[str | None]:
    """The id of the block in which results are kept that name no storage, or None."""
    return Call("GET", "/admin/storage", _storage)


def update_result_storage(block_document_id: Id) -> Call[None]:
    """Keeps such results in this block from now on."""
    body = {"default_result_storage_block_id": block_document_id}
    return Call("PUT", "/admin/storage", nothing, body)


def clear_result_storage() -> Call[None]:
    """Names no block for such results any more."""
    return Call("DELETE", "/admin/storage", nothing)


def _storage(content: bytes) -> str | None:
    id: str | None = orjson.loads(content)["default_result_storage_block_id"]
    return id


def read_collection_view(view: str) -> Call[dict[str, Any]]:
    """What the server knows: `aggregate-worker-metadata` is the types of workers by package."""
    return Call("GET", f"/collections/views/{quoted(view)}", plain)
