"""Work queues by their ids, whatever pool they are in: `/work_queues`."""

from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.api.streams import streams
from penstock.contract.rest import flow_runs as run_shapes
from penstock.contract.rest import work_queues as shapes
from penstock.operations import work_queues
from penstock.operations.deployments import DEFAULT_POOL
from penstock.operations.polls import Polls
from penstock.store import work_queues as store
from penstock.store.due_runs import FoundRuns, page_due_runs_of_queue
from penstock.store.filters import work_queue_condition
from penstock.store.transaction import Transaction
from penstock.store.work_pools import free_runs_of_queue

#: late runs and seconds without a poll that a healthy queue may have
MAX_LATE_RUNS = 0


async def create_work_queue(request: Request, body: shapes.WorkQueueCreate) -> Response:
    """Create a queue of the default pool, which is made on first use."""
    unit = partial(work_queues.create_default_pool_queue, body=body, now=datetime.now(UTC))
    return json_response(await database(request).write(unit), 201)


async def read_work_queue(request: Request, id: UUID) -> Response:
    """One queue."""

    def read(tx: Transaction) -> dict[str, Any]:
        return store.work_queue_shapes(tx, [work_queues.required_queue(tx, id)])[0]

    return json_response(await database(request).read(read))


async def read_work_queue_by_name(request: Request, name: str) -> Response:
    """One queue of the default pool."""

    def read(tx: Transaction) -> dict[str, Any]:
        queue = work_queues.required_queue_of_pool(tx, DEFAULT_POOL, name)
        return store.work_queue_shapes(tx, [queue])[0]

    return json_response(await database(request).read(read))


async def read_work_queues(
    request: Request, body: shapes.WorkQueuesFilterBody | None = None
) -> Response:
    """One page of the queues of all pools that match, by name."""
    body = body or shapes.WorkQueuesFilterBody()
    page = partial(
        store.page_work_queues,
        pool_id=None,
        condition=work_queue_condition(body.work_queues),
        limit=body.limit,
        offset=body.offset,
    )
    return json_response(await database(request).read(page))


async def update_work_queue(request: Request, id: UUID, body: shapes.WorkQueueUpdate) -> Response:
    """Change what was sent."""
    now = datetime.now(UTC)

    def unit(tx: Transaction) -> None:
        work_queues.update_work_queue(tx, work_queues.required_queue(tx, id), body, now)

    await database(request).write(unit)
    streams(request).hub.due.wake_all([id])
    return empty_response()


async def delete_work_queue(request: Request, id: UUID) -> Response:
    """Delete a queue; its deployments and runs stay. 409 for a pool's default queue."""
    db = database(request)
    await db.read(lambda tx: work_queues.check_deletable(work_queues.required_queue(tx, id)))
    while await db.write(partial(free_runs_of_queue, queue_id=id)):
        pass
    await db.write(partial(work_queues.delete_work_queue, id=id, now=datetime.now(UTC)))
    return empty_response()


async def read_work_queue_runs(
    request: Request, id: UUID, body: shapes.WorkQueueRunsBody | None = None
) -> Response:
    """Runs to execute, for agents of the first generation. Counts as a poll, but not of the UI."""
    body, now = body or shapes.WorkQueueRunsBody(), datetime.now(UTC)

    def read(tx: Transaction) -> tuple[FoundRuns, list[dict[str, Any]]]:
        queue = work_queues.required_queue(tx, id)
        runs = page_due_runs_of_queue(tx, queue, body.scheduled_before, body.limit, now)
        not_ready = [id] if queue.status == "NOT_READY" else []
        return FoundRuns(now, queue_ids=[id], not_ready=not_ready), runs

    polled, runs = await database(request).read(read)
    if request.headers.get("x-prefect-ui", "").lower() != "true":
        polls: Polls = request.app.state.polls
        await polls.note(polled)
    return json_response(runs)


async def read_work_queue_status(request: Request, id: UUID) -> Response:
    """Whether a queue is polled and none of its runs is late."""
    now = datetime.now(UTC)

    def read(tx: Transaction) -> dict[str, Any]:
        queue = work_queues.required_queue(tx, id)
        late = store.count_late_runs(tx, id)
        polled = queue.last_polled is not None and now - queue.last_polled <= store.READY_FOR
        return {
            "healthy": late <= MAX_LATE_RUNS and polled,
            "late_runs_count": late,
            "last_polled": queue.last_polled,
            "health_check_policy": {
                "maximum_late_runs": MAX_LATE_RUNS,
                "maximum_seconds_since_last_polled": int(store.READY_FOR.total_seconds()),
            },
        }

    return json_response(await database(request).read(read))


async def read_work_queue_concurrency_status(
    request: Request, id: UUID, body: shapes.WorkQueueConcurrencyStatusBody | None = None
) -> Response:
    """Which runs hold a queue's slots."""
    body, now = body or shapes.WorkQueueConcurrencyStatusBody(), datetime.now(UTC)

    def read(tx: Transaction) -> dict[str, Any]:
        queue = work_queues.required_queue(tx, id)
        slots = store.count_slots_of_queues(tx, [id])[id]
        offset = (body.page - 1) * body.limit
        return {
            "count": slots,
            "limit": body.limit,
            "pages": ceil(slots / body.limit) if body.limit else 0,
            "page": body.page,
            "concurrency_limit": queue.concurrency_limit,
            "active_slots": slots,
            "flow_runs": store.select_slot_holders(tx, id, body.limit, offset, now),
        }

    return json_response(await database(request).read(read))


_ONE = "/{id:uuid}"
_Queue = shapes.WorkQueueResponse
_FROM_UI = {
    "name": "x-prefect-ui",
    "in": "header",
    "required": False,
    "schema": {"type": "boolean", "default": False},
}

router = Doors(prefix="/work_queues", tag="Work Queues")
router.door("POST", "/", create_work_queue, answers=_Queue, status=201)
router.door("POST", "/filter", read_work_queues, answers=list[_Queue])
router.door("GET", "/name/{name}", read_work_queue_by_name, answers=_Queue)
router.door("GET", _ONE, read_work_queue, answers=_Queue)
router.door("PATCH", _ONE, update_work_queue, status=204)
router.door("DELETE", _ONE, delete_work_queue, status=204)
router.door(
    "POST",
    _ONE + "/get_runs",
    read_work_queue_runs,
    answers=list[run_shapes.FlowRunResponse],
    openapi_extra={"parameters": [_FROM_UI]},
)
router.door("GET", _ONE + "/status", read_work_queue_status, answers=shapes.WorkQueueStatusDetail)
router.door(
    "POST",
    _ONE + "/concurrency_status",
    read_work_queue_concurrency_status,
    answers=shapes.WorkQueueConcurrencyStatus,
)
