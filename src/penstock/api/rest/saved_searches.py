"""Saved searches: `/saved_searches`."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import saved_searches as shapes
from penstock.core.errors import NotFound
from penstock.store import saved_searches as store


async def create_saved_search(request: Request, body: shapes.SavedSearchCreate) -> Response:
    """Keep a search: 201, or 200 when it takes the place of the one of this name."""
    filters = [f.model_dump() for f in body.filters]
    upsert = partial(
        store.upsert_saved_search, name=body.name, filters=filters, now=datetime.now(UTC)
    )
    search, new = await database(request).write(upsert)
    return json_response(search, 201 if new else 200)


async def read_saved_search(request: Request, id: UUID) -> Response:
    """One search."""
    search = await database(request).read(partial(store.select_saved_search, id=id))
    if search is None:
        raise NotFound(f"There is no saved search {id}")
    return json_response(search)


async def read_saved_searches(
    request: Request, body: shapes.SavedSearchesFilterBody | None = None
) -> Response:
    """One page of the searches, by name."""
    body = body or shapes.SavedSearchesFilterBody()
    page = partial(store.page_saved_searches, limit=body.limit, offset=body.offset)
    return json_response(await database(request).read(page))


async def delete_saved_search(request: Request, id: UUID) -> Response:
    """Delete a search."""
    if not await database(request).write(partial(store.delete_saved_search, id=id)):
        raise NotFound(f"There is no saved search {id}")
    return empty_response()


router = Doors(prefix="/saved_searches", tag="SavedSearches")
router.door("PUT", "/", create_saved_search, answers=shapes.SavedSearch)
router.door("POST", "/filter", read_saved_searches, answers=list[shapes.SavedSearch])
router.door("GET", "/{id:uuid}", read_saved_search, answers=shapes.SavedSearch)
router.door("DELETE", "/{id:uuid}", delete_saved_search, status=204)
