"""Deployments: `/deployments`."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest import flow_runs as run_shapes
from penstock.operations import flow_runs


async def create_flow_run_from_deployment(
    request: Request, id: UUID, body: run_shapes.DeploymentFlowRunCreate
) -> Response:
    """Create a run of a deployment: 201, or 200 with the run that has its key."""
    prepare = partial(
        flow_runs.prepare_flow_run_of_deployment,
        deployment_id=id,
        body=body,
        now=datetime.now(UTC),
    )
    run, new = await database(request).prepare_and_write(
        prepare, flow_runs.create_flow_run, one_statement=True
    )
    return json_response(run, 201 if new else 200)


router = Doors(prefix="/deployments", tag="Deployments")
router.door(
    "POST",
    "/{id:uuid}/create_flow_run",
    create_flow_run_from_deployment,
    answers=run_shapes.FlowRunResponse,
)
