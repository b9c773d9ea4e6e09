"""Deployments: `/deployments`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import deployments as shapes
from penstock.contract.rest import flow_runs as run_shapes
from penstock.contract.rest import schedules as schedule_shapes
from penstock.core.errors import BadRequest, NotFound, PenstockServerError
from penstock.operations import deployments, flow_runs, schedules
from penstock.store import deployments as store
from penstock.store.schedules import (
    select_has_deployment,
    select_schedule_shapes,
    select_schedules,
)
from penstock.store.transaction import Transaction

#: runs that one bulk create makes at most
MAX_BULK = 100


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


async def bulk_create_flow_runs_from_deployment(
    request: Request, id: UUID, body: list[run_shapes.DeploymentFlowRunCreate]
) -> Response:
    """Create up to 100 runs of a deployment; one that fails does not stop the others."""
    if len(body) > MAX_BULK:
        raise BadRequest(f"A bulk create makes at most {MAX_BULK} runs; send them in parts")
    prepare = partial(
        flow_runs.prepare_flow_runs_of_deployment,
        deployment_id=id,
        bodies=body,
        now=datetime.now(UTC),
    )
    created = await database(request).prepare_and_write(prepare, flow_runs.create_flow_runs)
    return json_response({"results": [_bulk_result(r) for r in created]})


def _bulk_result(result: UUID | PenstockServerError) -> dict[str, Any]:
    if isinstance(result, PenstockServerError):
        return {"flow_run_id": None, "status": "FAILED", "error": result.message}
    return {"flow_run_id": result, "status": "CREATED", "error": None}


async def create_deployment(request: Request, body: shapes.DeploymentCreate) -> Response:
    """Create a deployment: 201, or 200 when the flow's one of this name was overwritten."""
    db, now = database(request), datetime.now(UTC)
    prepare = partial(deployments.prepare_deployment, body=body, now=now)
    id, new = await db.prepare_and_write(prepare, deployments.create_deployment)
    shape = await db.read(partial(_select_shape, id=id, now=now))
    return json_response(shape, 201 if new else 200)


def _select_shape(tx: Transaction, id: UUID, now: datetime) -> dict[str, Any]:
    row = store.select_deployment_row(tx, id)
    if row is None:
        raise NotFound(f"There is no deployment {id}")
    return store.deployment_shape(row, select_schedule_shapes(tx, [id])[id], now)


def _select_shape_by_name(
    tx: Transaction, flow_name: str, name: str, now: datetime
) -> dict[str, Any]:
    row = store.select_deployment_row_by_name(tx, flow_name, name)
    if row is None:
        raise NotFound(f"There is no deployment '{flow_name}/{name}'")
    return store.deployment_shape(row, select_schedule_shapes(tx, [row.id])[row.id], now)


async def read_deployment(request: Request, id: UUID) -> Response:
    """One deployment."""
    read = partial(_select_shape, id=id, now=datetime.now(UTC))
    return json_response(await database(request).read(read))


async def read_deployment_by_name(
    request: Request, flow_name: str, deployment_name: str
) -> Response:
    """One deployment, by its flow's name and its own."""
    read = partial(
        _select_shape_by_name, flow_name=flow_name, name=deployment_name, now=datetime.now(UTC)
    )
    return json_response(await database(request).read(read))


async def update_deployment(request: Request, id: UUID, body: shapes.DeploymentUpdate) -> Response:
    """Change what was sent."""
    prepare = partial(
        deployments.prepare_deployment_update, id=id, body=body, now=datetime.now(UTC)
    )
    await database(request).prepare_and_write(prepare, deployments.update_deployment)
    return empty_response()


async def pause_deployment(request: Request, id: UUID) -> Response:
    """Stop the schedules, and remove the runs they have made."""
    now = datetime.now(UTC)
    pause = partial(deployments.set_deployment_paused, id=id, paused=True, now=now)
    await database(request).write(pause)
    return json_response(None)


async def resume_deployment(request: Request, id: UUID) -> Response:
    """Let the schedules make runs again."""
    now = datetime.now(UTC)
    resume = partial(deployments.set_deployment_paused, id=id, paused=False, now=now)
    await database(request).write(resume)
    return json_response(None)


async def schedule_deployment(
    request: Request, id: UUID, body: shapes.DeploymentScheduleBody
) -> Response:
    """Make the runs of the deployment's active schedules now."""
    db, now = database(request), datetime.now(UTC)
    for row in await db.read(partial(select_schedules, deployment_id=id)):
        if row.active:
            prepare = partial(schedules.prepare_scheduled_runs, schedule=row, now=now, ahead=body)
            await db.prepare_and_write(prepare, schedules.create_scheduled_runs)
    return json_response(None)


async def read_deployment_schedules(request: Request, id: UUID) -> Response:
    """A deployment's schedules."""

    def read(tx: Transaction) -> list[dict[str, Any]]:
        if not select_has_deployment(tx, id):
            raise NotFound(f"There is no deployment {id}")
        return select_schedule_shapes(tx, [id])[id]

    return json_response(await database(request).read(read))


async def create_deployment_schedules(
    request: Request, id: UUID, body: list[schedule_shapes.DeploymentScheduleCreate]
) -> Response:
    """Add schedules."""
    unit = partial(schedules.create_schedules, deployment_id=id, bodies=body, now=datetime.now(UTC))
    return json_response(await database(request).write(unit), 201)


async def update_deployment_schedule(
    request: Request, id: UUID, schedule_id: UUID, body: schedule_shapes.DeploymentScheduleUpdate
) -> Response:
    """Change one schedule."""
    unit = partial(
        schedules.update_schedule,
        deployment_id=id,
        schedule_id=schedule_id,
        body=body,
        now=datetime.now(UTC),
    )
    await database(request).write(unit)
    return empty_response()


async def delete_deployment_schedule(request: Request, id: UUID, schedule_id: UUID) -> Response:
    """Delete one schedule and the runs it has made that never ran."""
    unit = partial(schedules.delete_schedule, deployment_id=id, schedule_id=schedule_id)
    await database(request).write(unit)
    return empty_response()


_ONE = "/{id:uuid}"
_SCHEDULES = list[schedule_shapes.DeploymentSchedule]

router = Doors(prefix="/deployments", tag="Deployments")
router.door(
    "POST",
    _ONE + "/create_flow_run",
    create_flow_run_from_deployment,
    answers=run_shapes.FlowRunResponse,
)
router.door(
    "POST",
    _ONE + "/create_flow_run/bulk",
    bulk_create_flow_runs_from_deployment,
    answers=run_shapes.FlowRunBulkCreateResponse,
)
router.door("POST", "/", create_deployment, answers=shapes.DeploymentResponse)
router.door("GET", _ONE, read_deployment, answers=shapes.DeploymentResponse)
router.door(
    "GET",
    "/name/{flow_name}/{deployment_name}",
    read_deployment_by_name,
    answers=shapes.DeploymentResponse,
)
router.door("PATCH", _ONE, update_deployment, status=204)
router.door("POST", _ONE + "/pause_deployment", pause_deployment, answers=Any)
router.door("POST", _ONE + "/resume_deployment", resume_deployment, answers=Any)
router.door("POST", _ONE + "/schedule", schedule_deployment, answers=Any)
router.door("GET", _ONE + "/schedules", read_deployment_schedules, answers=_SCHEDULES)
router.door(
    "POST", _ONE + "/schedules", create_deployment_schedules, answers=_SCHEDULES, status=201
)
router.door("PATCH", _ONE + "/schedules/{schedule_id:uuid}", update_deployment_schedule, status=204)
router.door(
    "DELETE", _ONE + "/schedules/{schedule_id:uuid}", delete_deployment_schedule, status=204
)
