"""Block documents: `/block_documents`. Nothing of what they hold is repeated in an error."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response, read_query
from penstock.contract.rest import blocks as shapes
from penstock.operations import block_documents
from penstock.operations.block_documents import PreparedDocument
from penstock.store import block_documents as store
from penstock.store.transaction import Transaction


async def create_block_document(request: Request, body: shapes.BlockDocumentCreate) -> Response:
    """Save a block. 409 for a name that its type has already."""
    now, db = datetime.now(UTC), database(request)

    def create(tx: Transaction, prepared: PreparedDocument) -> UUID:
        return block_documents.create_block_document(tx, body, prepared, now)

    prepare = partial(block_documents.prepare_block_document, body=body)
    id = await db.prepare_and_write(prepare, create)
    return json_response(await db.read(partial(_document, id=id, include_secrets=False)), 201)


def _document(tx: Transaction, id: UUID, *, include_secrets: bool) -> dict[str, Any]:
    row = block_documents.required_block_document(tx, id)
    return store.block_document_shapes(tx, [row], include_secrets=include_secrets)[0]


async def read_block_documents(
    request: Request, body: shapes.BlockDocumentsFilterBody | None = None
) -> Response:
    """One page of the block documents that match; the anonymous ones only when asked for."""
    query = body or shapes.BlockDocumentsFilterBody()

    def read(tx: Transaction) -> list[dict[str, Any]]:
        rows = store.page_block_documents(tx, query, query.sort, query.limit, query.offset)
        return store.block_document_shapes(tx, rows, include_secrets=query.include_secrets)

    return json_response(await database(request).read(read))


async def count_block_documents(
    request: Request, body: shapes.BlockDocumentsCountBody | None = None
) -> Response:
    """How many block documents match."""
    scope = body or shapes.BlockDocumentsCountBody()
    return json_response(
        await database(request).read(partial(store.count_block_documents, scope=scope))
    )


async def read_block_document(request: Request, id: UUID) -> Response:
    """One block document."""
    query = read_query(request, shapes.SecretsQuery)
    read = partial(_document, id=id, include_secrets=query.include_secrets)
    return json_response(await database(request).read(read))


async def update_block_document(
    request: Request, id: UUID, body: shapes.BlockDocumentUpdate
) -> Response:
    """Change a block's data, or its schema."""
    now = datetime.now(UTC)

    def update(tx: Transaction, prepared: PreparedDocument) -> None:
        block_documents.update_block_document(tx, id, prepared, now)

    prepare = partial(block_documents.prepare_block_document_update, id=id, body=body)
    await database(request).prepare_and_write(prepare, update)
    return empty_response()


async def delete_block_document(request: Request, id: UUID) -> Response:
    """Delete a block document."""
    await database(request).write(partial(block_documents.delete_block_document, id=id))
    return empty_response()


_Document = shapes.BlockDocument

router = Doors(prefix="/block_documents", tag="Block documents")
router.door("POST", "/", create_block_document, answers=_Document, status=201, private=True)
router.door("POST", "/filter", read_block_documents, answers=list[_Document])
router.door("POST", "/count", count_block_documents, answers=int)
router.door("GET", "/{id:uuid}", read_block_document, answers=_Document, query=shapes.SecretsQuery)
router.door("PATCH", "/{id:uuid}", update_block_document, status=204, private=True)
router.door("DELETE", "/{id:uuid}", delete_block_document, status=204)
