"""Flows: `/flows`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.pages import offset_of, page_shape
from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import flows as shapes
from penstock.contract.rest import ui
from penstock.core.errors import NotFound
from penstock.operations import flows
from penstock.store.database import Database
from penstock.store.filter_scopes import Scope, scope_of
from penstock.store.flow_lists import (
    count_deployments_of_flows,
    count_flows,
    page_flows,
    select_flow_ids,
    select_next_runs,
)
from penstock.store.flows import select_flow, select_flow_by_name, update_flow_tags
from penstock.store.transaction import Transaction


async def create_flow(request: Request, body: shapes.FlowCreate) -> Response:
    """Create a flow: 201, or 200 with the one that has this name."""
    unit = partial(flows.create_flow, body=body, now=datetime.now(UTC))
    flow, new = await database(request).write(unit)
    return json_response(flow, 201 if new else 200)


async def read_flow(request: Request, id: UUID) -> Response:
    """One flow."""
    flow = await database(request).read(partial(select_flow, id=id))
    if flow is None:
        raise NotFound(f"There is no flow {id}")
    return json_response(flow)


async def read_flow_by_name(request: Request, name: str) -> Response:
    """One flow, by its name."""
    flow = await database(request).read(partial(select_flow_by_name, name=name))
    if flow is None:
        raise NotFound(f"There is no flow named {name!r}")
    return json_response(flow)


async def update_flow(request: Request, id: UUID, body: shapes.FlowUpdate) -> Response:
    """Replace a flow's tags."""
    if "tags" in body.model_fields_set:
        unit = partial(update_flow_tags, id=id, tags=body.tags, now=datetime.now(UTC))
        there = await database(request).write(unit)
    else:
        there = await database(request).read(partial(select_flow, id=id)) is not None
    if not there:
        raise NotFound(f"There is no flow {id}")
    return empty_response()


async def read_flows(request: Request, body: shapes.FlowsFilterBody) -> Response:
    """A list of flows."""
    page = partial(
        page_flows, scope=scope_of(body), sort=body.sort, limit=body.limit, offset=body.offset
    )
    return json_response(await database(request).read(page))


async def paginate_flows(request: Request, body: shapes.FlowsPaginateBody) -> Response:
    """One page of a list of flows, and how many there are in all."""
    scope, offset = scope_of(body), offset_of(body.page, body.limit)

    def read(tx: Transaction) -> dict[str, Any]:
        flows = page_flows(tx, scope, body.sort, body.limit, offset)
        return page_shape(flows, count_flows(tx, scope), body.limit, body.page)

    return json_response(await database(request).read(read))


async def read_flow_count(request: Request, body: shapes.FlowsCountBody) -> Response:
    """How many flows there are."""
    return json_response(await database(request).read(partial(count_flows, scope=scope_of(body))))


async def delete_flow(request: Request, id: UUID) -> Response:
    """Delete a flow with its deployments and runs."""
    if not await _delete(database(request), id):
        raise NotFound(f"There is no flow {id}")
    return empty_response()


async def bulk_delete_flows(request: Request, body: shapes.FlowsBulkDeleteBody) -> Response:
    """Delete up to fifty flows; the ids of those that are gone."""
    db = database(request)
    select_ids = partial(select_flow_ids, scope=Scope(flows=body.flows), limit=body.limit)
    ids = await db.read(select_ids)
    return json_response({"deleted": [id for id in ids if await _delete(db, id)]})


async def count_deployments_by_flow(request: Request, body: ui.UIFlowIdsBody) -> Response:
    """How many deployments each of some flows has."""
    count = partial(count_deployments_of_flows, ids=body.flow_ids)
    found = await database(request).read(count)
    return json_response({str(id): deployments for id, deployments in found.items()})


async def next_runs_by_flow(request: Request, body: ui.UIFlowIdsBody) -> Response:
    """The next scheduled run of each of some flows, null where there is none."""
    found = await database(request).read(partial(select_next_runs, ids=body.flow_ids))
    return json_response({str(id): run for id, run in found.items()})


async def _delete(db: Database, id: UUID) -> bool:
    """Delete a flow, a bounded part at a time; False when there is no such flow."""
    while True:
        gone = await db.write(partial(flows.delete_flow_part, id=id, now=datetime.now(UTC)))
        if gone is not False:
            return bool(gone)


router = Doors(prefix="/flows", tag="Flows")
router.door("POST", "/", create_flow, answers=shapes.Flow)
router.door("GET", "/{id:uuid}", read_flow, answers=shapes.Flow)
router.door("GET", "/name/{name}", read_flow_by_name, answers=shapes.Flow)
router.door("PATCH", "/{id:uuid}", update_flow, status=204)
router.door("DELETE", "/{id:uuid}", delete_flow, status=204)
router.door("POST", "/filter", read_flows, answers=list[shapes.Flow])
router.door("POST", "/count", read_flow_count, answers=int)
router.door("POST", "/paginate", paginate_flows, answers=shapes.FlowPaginationResponse)
router.door("POST", "/bulk_delete", bulk_delete_flows, answers=shapes.FlowBulkDeleteResponse)

ui_router = Doors(prefix="/ui/flows", tag="Flows")
ui_router.door("POST", "/count-deployments", count_deployments_by_flow, answers=dict[UUID, int])
ui_router.door(
    "POST", "/next-runs", next_runs_by_flow, answers=dict[UUID, ui.SimpleNextFlowRun | None]
)
