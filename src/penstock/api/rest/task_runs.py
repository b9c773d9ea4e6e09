"""Task runs: `/task_runs`. Those of flows are recorded from events; here they are read.

By REST come the parents of subflow runs, tasks in the background, and old clients.
"""

from datetime import UTC, datetime
from functools import partial
from random import random
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.pages import offset_of, page_shape
from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import task_runs as shapes
from penstock.contract.rest import ui
from penstock.contract.rest.states import HistoryResponse, OrchestrationResult
from penstock.core.errors import InvalidInput, NotFound
from penstock.operations import task_run_changes, task_run_states
from penstock.operations.flow_run_states import proposed_state
from penstock.store.filter_scopes import scope_of, task_run_conditions
from penstock.store.run_histories import select_history
from penstock.store.run_removal import delete_task_run as delete_rows
from penstock.store.tables import task_run
from penstock.store.task_run_lists import (
    count_task_run_outcomes,
    count_task_runs,
    count_task_runs_by_state,
    page_task_runs,
    select_task_run,
)
from penstock.store.transaction import Transaction


async def create_task_run(request: Request, body: shapes.TaskRunCreate) -> Response:
    """Create a task run: 201, or 200 with the one of its flow run and keys."""
    create = partial(task_run_changes.create_task_run, body=body, now=datetime.now(UTC))
    run, new = await database(request).write(create)
    return json_response(run, 201 if new else 200)


async def update_task_run(request: Request, id: UUID, body: shapes.TaskRunUpdate) -> Response:
    """Change what was sent of a task run."""
    now = datetime.now(UTC)
    await database(request).write(
        partial(task_run_changes.update_task_run, id=id, body=body, now=now)
    )
    return empty_response()


async def set_task_run_state(
    request: Request, id: UUID, body: shapes.TaskRunSetStateBody
) -> Response:
    """Propose a state: 201 when one was written, 200 when the task run stays as it is."""
    now = datetime.now(UTC)
    unit = partial(
        task_run_states.set_task_run_state,
        id=id,
        proposed=proposed_state(body.state, now),
        now=now,
        draw=random(),
        force=body.force,
    )
    answer, written = await database(request).write(unit)
    return json_response(answer, 201 if written else 200)


async def read_task_runs(request: Request, body: shapes.TaskRunsFilterBody) -> Response:
    """A list of task runs."""
    page = partial(
        page_task_runs,
        scope=scope_of(body),
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(page))


async def paginate_task_runs(request: Request, body: shapes.TaskRunsPaginateBody) -> Response:
    """One page of a list of task runs, and how many there are in all."""
    scope, now = scope_of(body), datetime.now(UTC)
    offset = offset_of(body.page, body.limit)

    def read(tx: Transaction) -> dict[str, Any]:
        runs = page_task_runs(tx, scope, body.sort, body.limit, offset, now)
        return page_shape(runs, count_task_runs(tx, scope), body.limit, body.page)

    return json_response(await database(request).read(read))


async def read_task_run_count(request: Request, body: shapes.TaskRunsCountBody) -> Response:
    """How many task runs there are."""
    count = partial(count_task_runs, scope=scope_of(body))
    return json_response(await database(request).read(count))


async def read_task_run_history(request: Request, body: shapes.TaskRunHistoryBody) -> Response:
    """Task runs by interval and state. 422 for more than 500 intervals."""
    history = partial(
        select_history,
        run=task_run,
        conditions=task_run_conditions(scope_of(body)),
        start=body.history_start,
        end=body.history_end,
        length=body.history_interval_seconds,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(history))


async def read_task_run(request: Request, id: UUID) -> Response:
    """One task run."""
    return json_response(await _task_run(request, id, named=False))


async def delete_task_run(request: Request, id: UUID) -> Response:
    """Delete a task run and its history."""
    if not await database(request).write(partial(delete_rows, id=id)):
        raise NotFound(f"There is no task run {id}")
    return empty_response()


async def read_ui_task_run(request: Request, id: UUID) -> Response:
    """One task run, with the name of its flow run."""
    return json_response(await _task_run(request, id, named=True))


async def count_by_state(request: Request, body: ui.UITaskRunCountsBody) -> Response:
    """How many task runs are in a state of each type."""
    count = partial(count_task_runs_by_state, scope=scope_of(body))
    found = await database(request).read(count)
    return json_response({name: found.get(name, 0) for name in ui.CountByState.model_fields})


async def count_outcomes(request: Request, body: ui.UITaskRunDashboardBody) -> Response:
    """Task runs that completed or failed, in twenty intervals since a start time.

    422 without `task_runs.start_time.after_`.
    """
    started = body.task_runs.start_time
    if started is None or started.after_ is None:
        raise InvalidInput("It is required", ("body", "task_runs", "start_time", "after_"))
    count = partial(
        count_task_run_outcomes,
        scope=scope_of(body),
        start=started.after_,
        end=started.before_ or datetime.now(UTC),
    )
    return json_response(await database(request).read(count))


async def _task_run(request: Request, id: UUID, *, named: bool) -> dict[str, Any]:
    read = partial(select_task_run, id=id, now=datetime.now(UTC), named=named)
    found = await database(request).read(read)
    if found is None:
        raise NotFound(f"There is no task run {id}")
    return found


router = Doors(prefix="/task_runs", tag="Task Runs")
router.door("POST", "/{id:uuid}/set_state", set_task_run_state, answers=OrchestrationResult)
router.door("POST", "/", create_task_run, answers=shapes.TaskRun)
router.door("PATCH", "/{id:uuid}", update_task_run, status=204)
router.door("POST", "/filter", read_task_runs, answers=list[shapes.TaskRun])
router.door("POST", "/count", read_task_run_count, answers=int)
router.door("POST", "/paginate", paginate_task_runs, answers=shapes.TaskRunPaginationResponse)
router.door("POST", "/history", read_task_run_history, answers=list[HistoryResponse])
router.door("GET", "/{id:uuid}", read_task_run, answers=shapes.TaskRun)
router.door("DELETE", "/{id:uuid}", delete_task_run, status=204)

ui_router = Doors(prefix="/ui/task_runs", tag="Task Runs")
ui_router.door("POST", "/count", count_by_state, answers=ui.CountByState)
ui_router.door("POST", "/dashboard/counts", count_outcomes, answers=list[ui.TaskRunCount])
ui_router.door("GET", "/{id:uuid}", read_ui_task_run, answers=ui.UITaskRun)
