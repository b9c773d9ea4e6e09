"""Automations: `/automations`. None can be created yet, so that there never are any."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, json_response
from penstock.contract.rest import automations as shapes
from penstock.core.errors import NotServed


async def create_automation(request: Request) -> Response:
    """501, whatever was sent."""
    raise NotServed("Automations are not served yet; this one was not created")


async def read_automations(
    request: Request, body: shapes.AutomationsFilterBody | None = None
) -> Response:
    """None: there are no automations."""
    return json_response([])


async def count_automations(
    request: Request, body: shapes.AutomationsCountBody | None = None
) -> Response:
    """0: there are no automations."""
    return json_response(0)


async def read_automations_related_to_resource(request: Request, resource_id: str) -> Response:
    """None: no automation has to do with a resource."""
    # compat: `prefect deployment inspect` of 3.8.8 asks for the triggers of the deployment
    return json_response([])


async def delete_automations_owned_by_resource(request: Request, resource_id: str) -> Response:
    """A resource owns no automations, so that all it owns are gone."""
    # compat: prefect 3.8.8 asks for this whenever it deploys
    return json_response(None, 202)


router = Doors(prefix="/automations", tag="Automations")
router.door("POST", "/", create_automation, status=201)
router.door("POST", "/filter", read_automations, answers=list[Any])
router.door("POST", "/count", count_automations, answers=int)
router.door(
    "GET", "/related-to/{resource_id}", read_automations_related_to_resource, answers=list[Any]
)
router.door(
    "DELETE",
    "/owned-by/{resource_id}",
    delete_automations_owned_by_resource,
    answers=Any,
    status=202,
)
