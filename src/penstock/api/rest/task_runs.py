"""Task runs: `/task_runs`. They are recorded from events; here they are read."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.pages import offset_of, page_shape
from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import task_runs as shapes
from penstock.contract.rest import ui
from penstock.contract.rest.states import HistoryResponse
from penstock.core.errors import NotFound
from penstock.store.filter_scopes import scope_of, task_run_conditions
from penstock.store.run_histories import select_history
from penstock.store.run_removal import delete_task_run as delete_rows
from penstock.store.tables import task_run
from penstock.store.task_run_lists import (
    count_task_runs,
    count_task_runs_by_state,
    page_task_runs,
    select_task_run,
)
from penstock.store.transaction import Transaction


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


async def _task_run(request: Request, id: UUID, *, named: bool) -> dict[str, Any]:
    read = partial(select_task_run, id=id, now=datetime.now(UTC), named=named)
    found = await database(request).read(read)
    if found is None:
        raise NotFound(f"There is no task run {id}")
    return found


router = Doors(prefix="/task_runs", tag="Task Runs")
router.door("POST", "/filter", read_task_runs, answers=list[shapes.TaskRun])
router.door("POST", "/count", read_task_run_count, answers=int)
router.door("POST", "/paginate", paginate_task_runs, answers=shapes.TaskRunPaginationResponse)
router.door("POST", "/history", read_task_run_history, answers=list[HistoryResponse])
router.door("GET", "/{id:uuid}", read_task_run, answers=shapes.TaskRun)
router.door("DELETE", "/{id:uuid}", delete_task_run, status=204)

ui_router = Doors(prefix="/ui/task_runs", tag="Task Runs")
ui_router.door("POST", "/count", count_by_state, answers=ui.CountByState)
ui_router.door("GET", "/{id:uuid}", read_ui_task_run, answers=ui.UITaskRun)
