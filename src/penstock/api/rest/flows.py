"""Flows: `/flows`."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import flows as shapes
from penstock.core.errors import NotFound
from penstock.operations import flows
from penstock.store.flows import select_flow, select_flow_by_name, update_flow_tags


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
        if not await database(request).write(unit):
            raise NotFound(f"There is no flow {id}")
    return empty_response()


router = Doors(prefix="/flows", tag="Flows")
router.door("POST", "/", create_flow, answers=shapes.Flow)
router.door("GET", "/{id:uuid}", read_flow, answers=shapes.Flow)
router.door("GET", "/name/{name}", read_flow_by_name, answers=shapes.Flow)
router.door("PATCH", "/{id:uuid}", update_flow, status=204)
