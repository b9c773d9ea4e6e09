"""Changing and deleting flow runs, one or up to fifty: `/flow_runs`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.headers import attempt_of
from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.enums import SetStateStatus
from penstock.contract.rest import flow_runs as shapes
from penstock.contract.rest.wire import Labels
from penstock.core.errors import NotFound, PenstockServerError
from penstock.operations import flow_run_changes, flow_run_states
from penstock.store.database import Database
from penstock.store.filter_scopes import Scope
from penstock.store.flow_run_lists import select_flow_run_ids
from penstock.store.run_removal import delete_flow_run_part


async def update_flow_run(request: Request, id: UUID, body: shapes.FlowRunUpdate) -> Response:
    """Change what was sent of a run."""
    prepare = partial(
        flow_run_changes.prepare_flow_run_update, id=id, body=body, now=datetime.now(UTC)
    )

    def change(tx: Any, prepared: flow_run_changes.PreparedUpdate) -> None:
        flow_run_changes.change_flow_run(tx, id, prepared)

    await database(request).prepare_and_write(prepare, change)
    return empty_response()


async def update_flow_run_labels(request: Request, id: UUID, body: Labels) -> Response:
    """Add labels to a run."""
    now = datetime.now(UTC)
    change = partial(flow_run_changes.update_flow_run_labels, id=id, labels=body, now=now)
    await database(request).write(change)
    return empty_response()


async def delete_flow_run(request: Request, id: UUID) -> Response:
    """Delete a run with its task runs and history; its idempotency key is free again."""
    if not await _delete(database(request), id):
        raise NotFound(f"There is no flow run {id}")
    return empty_response()


async def bulk_delete_flow_runs(request: Request, body: shapes.FlowRunsBulkDeleteBody) -> Response:
    """Delete up to fifty runs; the ids of those that are gone."""
    db = database(request)
    ids = await db.read(_ids(body))
    return json_response({"deleted": [id for id in ids if await _delete(db, id)]})


async def bulk_set_flow_run_state(
    request: Request, body: shapes.FlowRunsBulkSetStateBody
) -> Response:
    """Propose a state for up to fifty runs; the answer to each, ABORT where it failed."""
    db = database(request)
    results = []
    for id in await db.read(_ids(body)):
        now = datetime.now(UTC)
        unit = partial(
            flow_run_states.set_flow_run_state,
            run_id=id,
            proposed=flow_run_states.proposed_state(body.state, now),
            now=now,
            force=body.force,
            attempt=attempt_of(request),
        )
        try:
            answer, _ = await db.write(unit, one_statement=True)
        except PenstockServerError as e:
            details = {"type": "abort_details", "reason": e.message}
            answer = {"status": SetStateStatus.ABORT.value, "state": None, "details": details}
        results.append({"flow_run_id": id, **answer})
    return json_response({"results": results})


def _ids(body: shapes.FlowRunsBulkDeleteBody | shapes.FlowRunsBulkSetStateBody) -> Any:
    return partial(select_flow_run_ids, scope=Scope(flow_runs=body.flow_runs), limit=body.limit)


async def _delete(db: Database, id: UUID) -> bool:
    """Delete a run, a bounded part at a time; False when there is no such run."""
    while True:
        gone = await db.write(partial(delete_flow_run_part, id=id))
        if gone is not False:
            return bool(gone)


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("PATCH", "/{id:uuid}", update_flow_run, status=204)
router.door("PATCH", "/{id:uuid}/labels", update_flow_run_labels, status=204)
router.door("DELETE", "/{id:uuid}", delete_flow_run, status=204)
router.door("POST", "/bulk_delete", bulk_delete_flow_runs, answers=shapes.FlowRunBulkDeleteResponse)
router.door(
    "POST",
    "/bulk_set_state",
    bulk_set_flow_run_state,
    answers=shapes.FlowRunBulkSetStateResponse,
)
