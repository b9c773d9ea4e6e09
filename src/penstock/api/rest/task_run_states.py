"""The history of task runs: `/task_run_states`."""

from functools import partial
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response, read_query
from penstock.contract.rest.states import State
from penstock.core.errors import NotFound
from penstock.store.states import select_state, select_task_run_states


class OfTaskRun(BaseModel):
    """Whose states."""

    task_run_id: UUID


async def read_task_run_states(request: Request) -> Response:
    """The states of a task run, oldest first."""
    id = read_query(request, OfTaskRun).task_run_id
    states = partial(select_task_run_states, task_run_id=id)
    return json_response(await database(request).read(states))


async def read_task_run_state(request: Request, id: UUID) -> Response:
    """One state of a task run."""
    state = await database(request).read(partial(select_state, state_id=id))
    if state is None:
        raise NotFound(f"There is no state {id} of a task run")
    return json_response(state)


router = Doors(prefix="/task_run_states", tag="Task Run States")
router.door("GET", "/", read_task_run_states, answers=list[State], query=OfTaskRun)
router.door("GET", "/{id:uuid}", read_task_run_state, answers=State)
