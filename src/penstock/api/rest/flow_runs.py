"""Flow runs: `/flow_runs`."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.headers import attempt_of
from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest import flow_runs as shapes
from penstock.contract.rest.states import OrchestrationResult
from penstock.core.errors import NotFound
from penstock.operations import flow_run_states, flow_runs
from penstock.store.flow_runs import select_flow_run


async def create_flow_run(request: Request, body: shapes.FlowRunCreate) -> Response:
    """Create a run of a flow without a deployment: 201, or 200 with the run that has its key."""
    prepare = partial(flow_runs.prepare_flow_run, body=body, now=datetime.now(UTC))
    run, new = await database(request).prepare_and_write(
        prepare, flow_runs.create_flow_run, one_statement=True
    )
    return json_response(run, 201 if new else 200)


async def read_flow_run(request: Request, id: UUID) -> Response:
    """One run."""
    run = await database(request).read(partial(select_flow_run, id=id, now=datetime.now(UTC)))
    if run is None:
        raise NotFound(f"There is no flow run {id}")
    return json_response(run)


async def set_flow_run_state(
    request: Request, id: UUID, body: shapes.FlowRunSetStateBody
) -> Response:
    """Propose a state: 201 when one was written, 200 when the run stays as it is."""
    now = datetime.now(UTC)
    unit = partial(
        flow_run_states.set_flow_run_state,
        run_id=id,
        proposed=flow_run_states.proposed_state(body.state, now),
        now=now,
        force=body.force,
        attempt=attempt_of(request),
    )
    answer, written = await database(request).write(unit, one_statement=True)
    return json_response(answer, 201 if written else 200)


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("POST", "/{id:uuid}/set_state", set_flow_run_state, answers=OrchestrationResult)
router.door("POST", "/", create_flow_run, answers=shapes.FlowRunResponse)
router.door("GET", "/{id:uuid}", read_flow_run, answers=shapes.FlowRunResponse)
