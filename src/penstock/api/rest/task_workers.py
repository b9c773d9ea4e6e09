"""Task workers: `/task_workers`."""

from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest import task_workers as shapes
from penstock.operations import task_deliveries


async def read_task_workers(request: Request, body: shapes.TaskWorkersFilterBody) -> Response:
    """The task workers that are connected to any server of this database."""
    wanted = body.task_worker_filter
    read = partial(
        task_deliveries.read_task_workers,
        task_keys=[] if wanted is None else wanted.task_keys,
        now=datetime.now(UTC),
    )
    return json_response(await database(request).read(read))


router = Doors(prefix="/task_workers", tag="Task Workers")
router.door("POST", "/filter", read_task_workers, answers=list[shapes.TaskWorkerResponse])
