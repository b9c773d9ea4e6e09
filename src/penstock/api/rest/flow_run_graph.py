"""What ran within a flow run: `/flow_runs/{id}/graph` and `/flow_runs/{id}/graph-v2`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response, read_query
from penstock.contract.rest.flow_run_graph import DependencyResult, Graph
from penstock.contract.rest.wire import DateTime
from penstock.core.errors import NotFound
from penstock.store.flow_run_graph import select_flow_run_graph, select_task_run_dependencies


class Since(BaseModel):
    """From when on nodes are wanted."""

    since: DateTime = datetime(1, 1, 1, tzinfo=UTC)


async def read_flow_run_graph_v1(request: Request, id: UUID) -> Response:
    """The task runs of a flow run, and whose results each takes."""
    select = partial(select_task_run_dependencies, flow_run_id=id, now=datetime.now(UTC))
    return _answer(await database(request).read(select), id)


async def read_flow_run_graph_v2(request: Request, id: UUID) -> Response:
    """The graph of a flow run: nodes that had not ended before `since`, artifacts, states."""
    since = read_query(request, Since).since
    select = partial(select_flow_run_graph, flow_run_id=id, since=since)
    return _answer(await database(request).read(select), id)


def _answer(found: Any, id: UUID) -> Response:
    if found is None:
        raise NotFound(f"There is no flow run {id}")
    return json_response(found)


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("GET", "/{id:uuid}/graph", read_flow_run_graph_v1, answers=list[DependencyResult])
router.door("GET", "/{id:uuid}/graph-v2", read_flow_run_graph_v2, answers=Graph, query=Since)
