"""Lists of deployments, polls of them, and deleting them: the rest of `/deployments`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.pages import offset_of, page_shape
from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import deployments as shapes
from penstock.contract.rest.flow_runs import FlowRunResponse
from penstock.contract.rest.work_queues import WorkQueueResponse
from penstock.core.errors import NotFound
from penstock.operations.deployments import delete_deployment_part
from penstock.operations.polls import NOTE_EVERY, note_polls_of_deployments
from penstock.store.database import Database
from penstock.store.deployment_lists import (
    count_deployments,
    page_deployments,
    select_deployment_ids,
)
from penstock.store.due_runs import page_due_runs_of_deployments
from penstock.store.filter_scopes import Scope, scope_of
from penstock.store.schedules import select_has_deployment
from penstock.store.transaction import Transaction
from penstock.store.work_queues import select_deployments_to_note


async def read_deployments(request: Request, body: shapes.DeploymentsFilterBody) -> Response:
    """A list of deployments."""
    page = partial(
        page_deployments,
        scope=scope_of(body),
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(page))


async def paginate_deployments(request: Request, body: shapes.DeploymentsPaginateBody) -> Response:
    """One page of a list of deployments, and how many there are in all."""
    scope, now = scope_of(body), datetime.now(UTC)
    offset = offset_of(body.page, body.limit)

    def read(tx: Transaction) -> dict[str, Any]:
        found = page_deployments(tx, scope, body.sort, body.limit, offset, now)
        return page_shape(found, count_deployments(tx, scope), body.limit, body.page)

    return json_response(await database(request).read(read))


async def read_deployment_count(request: Request, body: shapes.DeploymentsCountBody) -> Response:
    """How many deployments there are."""
    count = partial(count_deployments, scope=scope_of(body))
    return json_response(await database(request).read(count))


async def bulk_delete_deployments(
    request: Request, body: shapes.DeploymentsBulkDeleteBody
) -> Response:
    """Delete up to 50 deployments; the ids of those that are gone."""
    db, now = database(request), datetime.now(UTC)
    scope = Scope(deployments=body.deployments)
    ids = await db.read(partial(select_deployment_ids, scope=scope, limit=body.limit))
    return json_response({"deleted": [id for id in ids if await _delete(db, id, now)]})


async def delete_deployment(request: Request, id: UUID) -> Response:
    """Delete a deployment with its scheduled runs that never ran; its other runs stay."""
    if not await _delete(database(request), id, datetime.now(UTC)):
        raise NotFound(f"There is no deployment {id}")
    return empty_response()


async def _delete(db: Database, id: UUID, now: datetime) -> bool:
    """Delete a deployment, a bounded part at a time; False when there is no such deployment."""
    gone: bool | None = False
    while gone is False:
        gone = await db.write(partial(delete_deployment_part, id=id, now=now))
    return gone is not None


async def get_scheduled_flow_runs_for_deployments(
    request: Request, body: shapes.DeploymentsScheduledFlowRunsBody
) -> Response:
    """Runs to execute of some deployments, for the process that serves them. Counts as a poll."""
    db, now = database(request), datetime.now(UTC)

    def read(tx: Transaction) -> tuple[list[dict[str, Any]], list[UUID]]:
        before, limit = body.scheduled_before, body.limit
        runs = page_due_runs_of_deployments(tx, body.deployment_ids, before, limit, now)
        return runs, select_deployments_to_note(tx, body.deployment_ids, now - NOTE_EVERY)

    runs, unnoted = await db.read(read)
    await note_polls_of_deployments(db, unnoted, now)
    return json_response(runs)


async def work_queue_check_for_deployment(request: Request, id: UUID) -> Response:
    """No queue: queues that choose runs by a filter of their own are not served."""
    if not await database(request).read(partial(select_has_deployment, id=id)):
        raise NotFound(f"There is no deployment {id}")
    return json_response([])


router = Doors(prefix="/deployments", tag="Deployments")
router.door(
    "POST",
    "/get_scheduled_flow_runs",
    get_scheduled_flow_runs_for_deployments,
    answers=list[FlowRunResponse],
)
router.door("POST", "/filter", read_deployments, answers=list[shapes.DeploymentResponse])
router.door("POST", "/count", read_deployment_count, answers=int)
router.door("POST", "/paginate", paginate_deployments, answers=shapes.DeploymentPaginationResponse)
router.door(
    "POST", "/bulk_delete", bulk_delete_deployments, answers=shapes.DeploymentBulkDeleteResponse
)
router.door("DELETE", "/{id:uuid}", delete_deployment, status=204)
router.door(
    "GET",
    "/{id:uuid}/work_queue_check",
    work_queue_check_for_deployment,
    answers=list[WorkQueueResponse],
    deprecated=True,
)
