"""Lists, counts and charts of flow runs: the reading half of `/flow_runs` beside single runs."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.pages import offset_of, page_shape
from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest import flow_runs as shapes
from penstock.contract.rest import ui
from penstock.contract.rest.states import HistoryResponse
from penstock.store.filter_scopes import flow_run_conditions, scope_of
from penstock.store.flow_run_lists import (
    average_lateness,
    count_flow_runs,
    page_flow_runs,
    select_flow_run_dots,
)
from penstock.store.run_histories import select_history
from penstock.store.tables import flow_run
from penstock.store.task_run_lists import count_task_runs_of_flow_runs
from penstock.store.transaction import Transaction


async def read_flow_runs(request: Request, body: shapes.FlowRunsFilterBody) -> Response:
    """A list of runs."""
    page = partial(
        page_flow_runs,
        scope=scope_of(body),
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(page))


async def paginate_flow_runs(request: Request, body: shapes.FlowRunsPaginateBody) -> Response:
    """One page of a list of runs, and how many there are in all."""
    scope, now = scope_of(body), datetime.now(UTC)
    offset = offset_of(body.page, body.limit)

    def read(tx: Transaction) -> dict[str, Any]:
        runs = page_flow_runs(tx, scope, body.sort, body.limit, offset, now)
        return page_shape(runs, count_flow_runs(tx, scope), body.limit, body.page)

    return json_response(await database(request).read(read))


async def read_flow_run_count(request: Request, body: shapes.FlowRunsCountBody) -> Response:
    """How many runs there are."""
    count = partial(count_flow_runs, scope=scope_of(body))
    return json_response(await database(request).read(count))


async def read_average_lateness(request: Request, body: shapes.FlowRunsLatenessBody) -> Response:
    """How many seconds late runs are on average; null without any."""
    average = partial(average_lateness, scope=scope_of(body), now=datetime.now(UTC))
    return json_response(await database(request).read(average))


async def read_flow_run_history(request: Request, body: shapes.FlowRunHistoryBody) -> Response:
    """Runs by interval and state. 422 for more than 500 intervals."""
    history = partial(
        select_history,
        run=flow_run,
        conditions=flow_run_conditions(scope_of(body)),
        start=body.history_start,
        end=body.history_end,
        length=body.history_interval_seconds,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(history))


async def read_flow_run_dots(request: Request, body: ui.UIFlowRunHistoryBody) -> Response:
    """Runs as the dots of a chart."""
    dots = partial(
        select_flow_run_dots,
        scope=scope_of(body),
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(dots))


async def count_task_runs_by_flow_run(request: Request, body: ui.UIFlowRunIdsBody) -> Response:
    """How many task runs each of some flow runs has."""
    count = partial(count_task_runs_of_flow_runs, ids=body.flow_run_ids)
    found = await database(request).read(count)
    return json_response({str(id): runs for id, runs in found.items()})


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("POST", "/filter", read_flow_runs, answers=list[shapes.FlowRunResponse])
router.door("POST", "/count", read_flow_run_count, answers=int)
router.door("POST", "/paginate", paginate_flow_runs, answers=shapes.FlowRunPaginationResponse)
router.door("POST", "/history", read_flow_run_history, answers=list[HistoryResponse])
router.door("POST", "/lateness", read_average_lateness, answers=float | None)

ui_router = Doors(prefix="/ui/flow_runs", tag="Flow Runs")
ui_router.door("POST", "/history", read_flow_run_dots, answers=list[ui.SimpleFlowRun])
ui_router.door("POST", "/count-task-runs", count_task_runs_by_flow_run, answers=dict[UUID, int])
