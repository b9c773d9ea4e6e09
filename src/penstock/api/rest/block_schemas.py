"""Block schemas and what blocks are capable of: `/block_schemas`, `/block_capabilities`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response, read_query
from penstock.contract.rest import blocks as shapes
from penstock.operations import block_schemas
from penstock.operations.system_block_types import ensure_system_block_types
from penstock.store import block_schemas as store
from penstock.store.transaction import Transaction


async def create_block_schema(request: Request, body: shapes.BlockSchemaCreate) -> Response:
    """Create a block schema, or return the one with its checksum and version: 201 or 200."""
    schema, new = await database(request).prepare_and_write(
        partial(block_schemas.prepare_block_schema, body=body),
        partial(block_schemas.create_block_schema, now=datetime.now(UTC)),
    )
    return json_response(schema, 201 if new else 200)


async def read_block_schemas(
    request: Request, body: shapes.BlockSchemasFilterBody | None = None
) -> Response:
    """One page of the block schemas that match, the newest first."""
    body, db = body or shapes.BlockSchemasFilterBody(), database(request)
    await ensure_system_block_types(db, datetime.now(UTC))
    page = partial(
        store.page_block_schemas, filter=body.block_schemas, limit=body.limit, offset=body.offset
    )
    return json_response(await db.read(page))


async def read_block_schema(request: Request, id: UUID) -> Response:
    """One block schema."""

    def read(tx: Transaction) -> dict[str, Any]:
        return store.block_schema_shape(block_schemas.required_block_schema(tx, id))

    return json_response(await database(request).read(read))


async def read_block_schema_by_checksum(request: Request, checksum: str) -> Response:
    """The block schema with this checksum and `version`; without a version the newest."""
    version = read_query(request, shapes.BlockSchemaVersionQuery).version

    def read(tx: Transaction) -> dict[str, Any]:
        row = block_schemas.required_block_schema_by_checksum(tx, checksum, version)
        return store.block_schema_shape(row)

    return json_response(await database(request).read(read))


async def delete_block_schema(request: Request, id: UUID) -> Response:
    """Delete a block schema with its documents. 403 for one of a protected type."""
    db = database(request)
    await db.read(partial(block_schemas.check_deletable, id=id))
    while not await db.write(partial(block_schemas.delete_block_schema, id=id)):
        pass
    return empty_response()


async def read_available_block_capabilities(request: Request) -> Response:
    """What some block is capable of."""
    db = database(request)
    await ensure_system_block_types(db, datetime.now(UTC))
    return json_response(await db.read(store.select_capabilities))


_Schema = shapes.BlockSchema

router = Doors(prefix="/block_schemas", tag="Block schemas")
router.door("POST", "/", create_block_schema, answers=_Schema, status=201)
router.door("POST", "/filter", read_block_schemas, answers=list[_Schema])
router.door("GET", "/{id:uuid}", read_block_schema, answers=_Schema)
router.door("DELETE", "/{id:uuid}", delete_block_schema, status=204)
router.door(
    "GET",
    "/checksum/{checksum}",
    read_block_schema_by_checksum,
    answers=_Schema,
    query=shapes.BlockSchemaVersionQuery,
)

capabilities = Doors(prefix="/block_capabilities", tag="Block capabilities")
capabilities.door("GET", "/", read_available_block_capabilities, answers=list[str])
