"""Block types: `/block_types`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response, read_query
from penstock.contract.rest import blocks as shapes
from penstock.contract.rest.wire import MAX_PAGE
from penstock.operations import block_documents, block_types
from penstock.operations.system_block_types import (
    ensure_system_block_types,
    install_system_block_types,
)
from penstock.store import block_types as store
from penstock.store.block_documents import block_document_shapes, page_block_documents
from penstock.store.database import Database
from penstock.store.transaction import Transaction


async def _database(request: Request) -> Database:
    """The database, with the system's block types in it."""
    db = database(request)
    await ensure_system_block_types(db, datetime.now(UTC))
    return db


async def create_block_type(request: Request, body: shapes.BlockTypeCreate) -> Response:
    """Create a block type. 403 for a reserved name, 409 for a slug that is taken."""
    unit = partial(block_types.create_block_type, body=body, now=datetime.now(UTC))
    return json_response(await (await _database(request)).write(unit), 201)


async def read_block_types(
    request: Request, body: shapes.BlockTypesFilterBody | None = None
) -> Response:
    """One page of the block types that match, by name."""
    body = body or shapes.BlockTypesFilterBody()
    page = partial(
        store.page_block_types,
        types=body.block_types,
        schemas=body.block_schemas,
        limit=body.limit,
        offset=body.offset,
    )
    return json_response(await (await _database(request)).read(page))


async def read_block_type(request: Request, id: UUID) -> Response:
    """One block type."""

    def read(tx: Transaction) -> dict[str, Any]:
        return store.block_type_shape(block_types.required_block_type(tx, id))

    return json_response(await (await _database(request)).read(read))


async def read_block_type_by_slug(request: Request, slug: str) -> Response:
    """The block type with this slug."""

    def read(tx: Transaction) -> dict[str, Any]:
        return store.block_type_shape(block_types.required_block_type_by_slug(tx, slug))

    return json_response(await (await _database(request)).read(read))


async def read_block_documents_of_type(request: Request, slug: str) -> Response:
    """The first documents of a block type by name, at most a page of them."""
    query = read_query(request, shapes.SecretsQuery)

    def read(tx: Transaction) -> list[dict[str, Any]]:
        block_types.required_block_type_by_slug(tx, slug)
        of_type = shapes.BlockTypeFilter(slug=shapes.BlockTypeFilterSlug(any_=[slug]))
        scope = shapes.BlockDocumentsCountBody(block_types=of_type)
        rows = page_block_documents(tx, scope, None, MAX_PAGE, 0)
        return block_document_shapes(tx, rows, include_secrets=query.include_secrets)

    return json_response(await (await _database(request)).read(read))


async def read_block_document_by_name(
    request: Request, slug: str, block_document_name: str
) -> Response:
    """The document of this name and type."""
    query = read_query(request, shapes.SecretsQuery)

    def read(tx: Transaction) -> dict[str, Any]:
        row = block_documents.required_block_document_by_name(tx, slug, block_document_name)
        return block_document_shapes(tx, [row], include_secrets=query.include_secrets)[0]

    return json_response(await database(request).read(read))


async def update_block_type(request: Request, id: UUID, body: shapes.BlockTypeUpdate) -> Response:
    """Change what was sent."""
    unit = partial(block_types.update_block_type, id=id, body=body, now=datetime.now(UTC))
    await database(request).write(unit)
    return empty_response()


async def delete_block_type(request: Request, id: UUID) -> Response:
    """Delete a block type with its schemas and documents. 403 for a protected one."""
    db = database(request)
    await db.read(partial(block_types.check_deletable, id=id))
    while not await db.write(partial(block_types.delete_block_type, id=id)):
        pass
    return empty_response()


async def install(request: Request) -> Response:
    """Store those of the system's block types that are missing."""
    await database(request).write(partial(install_system_block_types, now=datetime.now(UTC)))
    return json_response(None)


_Type = shapes.BlockType
_Document = shapes.BlockDocument
_DOCUMENTS = "/slug/{slug}/block_documents"

router = Doors(prefix="/block_types", tag="Block types")
router.door("POST", "/", create_block_type, answers=_Type, status=201)
router.door("POST", "/filter", read_block_types, answers=list[_Type])
router.door("POST", "/install_system_block_types", install, answers=Any)
router.door("GET", "/{id:uuid}", read_block_type, answers=_Type)
router.door("PATCH", "/{id:uuid}", update_block_type, status=204)
router.door("DELETE", "/{id:uuid}", delete_block_type, status=204)
router.door("GET", "/slug/{slug}", read_block_type_by_slug, answers=_Type)
router.door(
    "GET",
    _DOCUMENTS,
    read_block_documents_of_type,
    answers=list[_Document],
    query=shapes.SecretsQuery,
)
router.door(
    "GET",
    _DOCUMENTS + "/name/{block_document_name}",
    read_block_document_by_name,
    answers=_Document,
    query=shapes.SecretsQuery,
)
