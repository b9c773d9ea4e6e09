"""Where results are kept that name no storage: `/admin/storage`."""

from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest.blocks import (
    ServerDefaultResultStorage,
    ServerDefaultResultStorageUpdate,
)
from penstock.operations import result_storage


async def read_result_storage(request: Request) -> Response:
    """The block for results; null when none was chosen."""
    return _answer(await database(request).read(result_storage.read_result_storage))


async def update_result_storage(
    request: Request, body: ServerDefaultResultStorageUpdate
) -> Response:
    """Choose the block for results. 404 for none, 422 for one that holds no files."""
    id = body.default_result_storage_block_id
    await database(request).write(partial(result_storage.update_result_storage, id=id))
    return _answer(id)


async def clear_result_storage(request: Request) -> Response:
    """Choose no block for results."""
    await database(request).write(result_storage.clear_result_storage, one_statement=True)
    return empty_response()


def _answer(id: UUID | None) -> Response:
    return json_response({"default_result_storage_block_id": id})


router = Doors(prefix="/admin", tag="Admin")
router.door("GET", "/storage", read_result_storage, answers=ServerDefaultResultStorage)
router.door("PUT", "/storage", update_result_storage, answers=ServerDefaultResultStorage)
router.door("DELETE", "/storage", clear_result_storage, status=204)
