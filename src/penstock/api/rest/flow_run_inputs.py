"""Pauses that wait for people: `/flow_runs/{id}/resume` and `/flow_runs/{id}/input`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import flow_runs as shapes
from penstock.contract.rest.states import OrchestrationResult
from penstock.core.errors import NotFound
from penstock.operations import flow_run_resume
from penstock.store import flow_run_inputs
from penstock.store.transaction import Transaction


async def resume_flow_run(request: Request, id: UUID, body: shapes.FlowRunResumeBody) -> Response:
    """Let a paused run go on: 201 when a state was written, 200 when the run stays as it is."""
    now = datetime.now(UTC)
    prepare = partial(flow_run_resume.prepare_resume, run_id=id, body=body, now=now)

    def resume(tx: Transaction, prepared: flow_run_resume.PreparedResume) -> Any:
        return flow_run_resume.resume_flow_run(tx, id, prepared, now)

    answer, written = await database(request).prepare_and_write(prepare, resume)
    return json_response(answer, 201 if written else 200)


async def create_flow_run_input(
    request: Request, id: UUID, body: shapes.FlowRunInputCreateBody
) -> Response:
    """Store a value for a run under a key of its own."""
    insert = partial(
        flow_run_inputs.insert_flow_run_input,
        flow_run_id=id,
        key=body.key,
        value=body.value,
        sender=body.sender,
        now=datetime.now(UTC),
    )
    if not await database(request).write(insert):
        raise NotFound(f"There is no flow run {id}")
    return json_response(None, 201)


async def filter_flow_run_input(
    request: Request, id: UUID, body: shapes.FlowRunInputFilterBody
) -> Response:
    """The inputs of a run whose keys begin so, the oldest first."""
    page = partial(
        flow_run_inputs.page_flow_run_inputs,
        flow_run_id=id,
        prefix=body.prefix,
        limit=body.limit,
        exclude_keys=body.exclude_keys,
    )
    return json_response(await database(request).read(page))


async def read_flow_run_input(request: Request, id: UUID, key: str) -> Response:
    """An input's value as it was sent, as text."""
    read = partial(flow_run_inputs.select_flow_run_input_value, flow_run_id=id, key=key)
    value = await database(request).read(read)
    if value is None:
        raise _no_input(id, key)
    return PlainTextResponse(value)


async def delete_flow_run_input(request: Request, id: UUID, key: str) -> Response:
    """Delete an input."""
    delete = partial(flow_run_inputs.delete_flow_run_input, flow_run_id=id, key=key)
    if not await database(request).write(delete, one_statement=True):
        raise _no_input(id, key)
    return empty_response()


def _no_input(id: UUID, key: str) -> NotFound:
    return NotFound(f"There is no input {key!r} of flow run {id}")


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("POST", "/{id:uuid}/resume", resume_flow_run, answers=OrchestrationResult)
router.door("POST", "/{id:uuid}/input", create_flow_run_input, answers=Any, status=201)
router.door(
    "POST", "/{id:uuid}/input/filter", filter_flow_run_input, answers=list[shapes.FlowRunInput]
)
router.door("GET", "/{id:uuid}/input/{key}", read_flow_run_input, answers=Any)
router.door("DELETE", "/{id:uuid}/input/{key}", delete_flow_run_input, status=204)
