"""The history of flow runs: `/flow_run_states`."""

from functools import partial
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response, read_query
from penstock.contract.rest.states import State
from penstock.core.errors import NotFound
from penstock.store.states import select_flow_run_states, select_state


class OfFlowRun(BaseModel):
    """Whose states."""

    flow_run_id: UUID


async def read_flow_run_states(request: Request) -> Response:
    """The states of a flow run, oldest first."""
    id = read_query(request, OfFlowRun).flow_run_id
    states = partial(select_flow_run_states, flow_run_id=id)
    return json_response(await database(request).read(states))


async def read_flow_run_state(request: Request, id: UUID) -> Response:
    """One state of a flow run."""
    state = await database(request).read(partial(select_state, state_id=id))
    if state is None:
        raise NotFound(f"There is no state {id} of a flow run")
    return json_response(state)


router = Doors(prefix="/flow_run_states", tag="Flow Run States")
router.door("GET", "/", read_flow_run_states, answers=list[State], query=OfFlowRun)
router.door("GET", "/{id:uuid}", read_flow_run_state, answers=State)
