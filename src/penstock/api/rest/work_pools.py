"""Work pools with their queues and workers, and polls: `/work_pools`."""

import asyncio
import re
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.api.streams import streams
from penstock.contract.rest import work_pools as shapes
from penstock.contract.rest import work_queues as queue_shapes
from penstock.operations import work_pools, work_queues
from penstock.operations.polls import LongPoll, Look, Polls
from penstock.store import work_pools as store
from penstock.store.due_runs import FoundRuns, page_due_runs
from penstock.store.filters import work_pool_condition, work_queue_condition
from penstock.store.transaction import Transaction
from penstock.store.work_queues import (
    page_work_queues,
    select_pool_slots,
    work_queue_shapes,
)
from penstock.store.workers import page_workers

#: seconds that a long poll waits at most
MAX_WAIT = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})")


# ------------------------------------------------------------------ pools


async def create_work_pool(request: Request, body: shapes.WorkPoolCreate) -> Response:
    """Create a pool and its default queue."""
    pool = await database(request).prepare_and_write(
        partial(work_pools.prepare_work_pool, body=body),
        partial(work_pools.create_work_pool, now=datetime.now(UTC)),
    )
    return json_response(pool, 201)


async def read_work_pool(request: Request, name: str) -> Response:
    """One pool."""

    def read(tx: Transaction) -> dict[str, Any]:
        work_pools.required_pool(tx, name)
        shape = store.select_work_pool_shape(tx, name)
        assert shape is not None
        return shape

    return json_response(await database(request).read(read))


async def read_work_pools(
    request: Request, body: shapes.WorkPoolsFilterBody | None = None
) -> Response:
    """One page of the pools that match, by name."""
    body = body or shapes.WorkPoolsFilterBody()
    condition = work_pool_condition(body.work_pools)
    page = partial(store.page_work_pools, condition=condition, limit=body.limit, offset=body.offset)
    return json_response(await database(request).read(page))


async def count_work_pools(
    request: Request, body: shapes.WorkPoolsCountBody | None = None
) -> Response:
    """How many pools match."""
    condition = work_pool_condition(body.work_pools if body else None)
    count = partial(store.count_work_pools, condition=condition)
    return json_response(await database(request).read(count))


async def update_work_pool(request: Request, name: str, body: shapes.WorkPoolUpdate) -> Response:
    """Change what was sent."""
    queue_ids = await database(request).prepare_and_write(
        partial(work_pools.prepare_work_pool_update, body=body, name=name),
        partial(work_pools.update_work_pool, name=name, now=datetime.now(UTC)),
    )
    streams(request).hub.due.wake_all(queue_ids)
    return empty_response()


async def delete_work_pool(request: Request, name: str) -> Response:
    """Delete a pool with its queues and workers; its deployments and runs stay."""
    db = database(request)
    for queue_id in await db.read(partial(work_pools.deletable_pool, name=name)):
        while await db.write(partial(store.free_runs_of_queue, queue_id=queue_id)):
            pass
    await db.write(partial(work_pools.delete_work_pool, name=name, now=datetime.now(UTC)))
    return empty_response()


async def read_work_pool_concurrency_status(
    request: Request, name: str, body: shapes.WorkPoolConcurrencyStatusBody | None = None
) -> Response:
    """Which queues and runs hold a pool's slots."""
    body, now = body or shapes.WorkPoolConcurrencyStatusBody(), datetime.now(UTC)

    def read(tx: Transaction) -> dict[str, Any]:
        pool = work_pools.required_pool(tx, name)
        offset = (body.page - 1) * body.limit
        count, queues = select_pool_slots(tx, pool.id, body.limit, offset, body.flow_run_limit, now)
        return {
            "count": count,
            "limit": body.limit,
            "pages": ceil(count / body.limit) if body.limit else 0,
            "page": body.page,
            "concurrency_limit": pool.concurrency_limit,
            "active_slots": store.count_slots_of_pools(tx, [pool.id])[pool.id],
            "queues": queues,
        }

    return json_response(await database(request).read(read))


# ------------------------------------------------------------------ queues of a pool


async def create_work_queue(
    request: Request, work_pool_name: str, body: queue_shapes.WorkQueueCreate
) -> Response:
    """Create a queue; its priority pushes others down."""
    now = datetime.now(UTC)
    unit = partial(work_queues.create_work_queue, pool_name=work_pool_name, body=body, now=now)
    return json_response(await database(request).write(unit), 201)


async def read_work_queue(request: Request, work_pool_name: str, name: str) -> Response:
    """One queue of a pool."""

    def read(tx: Transaction) -> dict[str, Any]:
        queue = work_queues.required_queue_of_pool(tx, work_pool_name, name)
        return work_queue_shapes(tx, [queue])[0]

    return json_response(await database(request).read(read))


async def read_work_queues(
    request: Request, work_pool_name: str, body: queue_shapes.WorkQueuesFilterBody | None = None
) -> Response:
    """One page of a pool's queues that match, by priority."""
    body = body or queue_shapes.WorkQueuesFilterBody()
    condition = work_queue_condition(body.work_queues)

    def read(tx: Transaction) -> list[dict[str, Any]]:
        pool = work_pools.required_pool(tx, work_pool_name)
        return page_work_queues(tx, pool.id, condition, body.limit, body.offset)

    return json_response(await database(request).read(read))


async def update_work_queue(
    request: Request, work_pool_name: str, name: str, body: queue_shapes.WorkQueueUpdate
) -> Response:
    """Change what was sent."""
    now = datetime.now(UTC)

    def unit(tx: Transaction) -> Any:
        queue = work_queues.required_queue_of_pool(tx, work_pool_name, name)
        work_queues.update_work_queue(tx, queue, body, now)
        return queue.id

    streams(request).hub.due.wake_all([await database(request).write(unit)])
    return empty_response()


async def delete_work_queue(request: Request, work_pool_name: str, name: str) -> Response:
    """Delete a queue; its deployments and runs stay. 409 for the pool's default queue."""
    db = database(request)

    def deletable(tx: Transaction) -> Any:
        queue = work_queues.required_queue_of_pool(tx, work_pool_name, name)
        work_queues.check_deletable(queue)
        return queue.id

    queue_id = await db.read(deletable)
    while await db.write(partial(store.free_runs_of_queue, queue_id=queue_id)):
        pass
    await db.write(partial(work_queues.delete_work_queue, id=queue_id, now=datetime.now(UTC)))
    return empty_response()


# ------------------------------------------------------------------ workers


async def worker_heartbeat(
    request: Request, work_pool_name: str, body: shapes.WorkerHeartbeatBody
) -> Response:
    """Note that a worker is alive."""
    unit = partial(
        work_pools.record_heartbeat,
        pool_name=work_pool_name,
        worker=body.name,
        interval_seconds=body.heartbeat_interval_seconds,
        now=datetime.now(UTC),
    )
    await database(request).write(unit)
    return empty_response()


async def read_workers(
    request: Request, work_pool_name: str, body: shapes.WorkersFilterBody | None = None
) -> Response:
    """One page of a pool's workers that match, the last heard of first."""
    body, now = body or shapes.WorkersFilterBody(), datetime.now(UTC)

    def read(tx: Transaction) -> list[dict[str, Any]]:
        pool = work_pools.required_pool(tx, work_pool_name)
        return page_workers(tx, pool.id, body.workers, body.limit, body.offset, now)

    return json_response(await database(request).read(read))


async def delete_worker(request: Request, work_pool_name: str, name: str) -> Response:
    """Forget a worker."""
    unit = partial(work_pools.delete_worker, pool_name=work_pool_name, worker=name)
    await database(request).write(unit)
    return empty_response()


# ------------------------------------------------------------------ polls


async def get_scheduled_flow_runs(
    request: Request, name: str, body: shapes.WorkPoolScheduledFlowRunsBody | None = None
) -> Response:
    """Runs to execute. With `Prefer: wait=N` answers only when there are some, or after N s."""
    body = body or shapes.WorkPoolScheduledFlowRunsBody()
    db, noted = database(request), polls(request)
    wait = _wait_seconds(request)

    async def look() -> FoundRuns:
        now, before = datetime.now(UTC), body.scheduled_before
        if wait is not None:  # time passes while a poll waits
            before = now if before is None else max(before, now)
        found = await db.read(
            partial(
                page_due_runs,
                pool=name,
                queue_names=body.work_queue_names,
                before=before,
                after=body.scheduled_after,
                limit=body.limit,
                now=now,
            )
        )
        await noted.note(found)
        return found

    found = await look()
    if not wait:
        return json_response(found.runs)
    if not found.runs:
        found = await _wait_for_runs(request, look, found, wait)
    response = json_response(found.runs)
    response.headers["Preference-Applied"] = f"wait={wait}"
    return response


async def _wait_for_runs(
    request: Request, look: Look, found: FoundRuns, seconds: float
) -> FoundRuns:
    gone = asyncio.create_task(_disconnect(request))
    try:
        return await LongPoll(look, streams(request).hub.due, gone).wait(found, seconds)
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    """Return when the client has gone; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _wait_seconds(request: Request) -> int | None:
    """How long the client prefers to wait for runs; None when it does not say."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return None if found is None else min(int(found[1]), MAX_WAIT)


def polls(request: Request) -> Polls:
    """This server's notes of polls."""
    noted: Polls = request.app.state.polls
    return noted


_ONE = "/{name}"
_QUEUES = "/{work_pool_name}/queues"
_WORKERS = "/{work_pool_name}/workers"
_Pool = shapes.WorkPoolResponse
_Queue = queue_shapes.WorkQueueResponse

router = Doors(prefix="/work_pools", tag="Work Pools")
router.door(
    "POST",
    _ONE + "/get_scheduled_flow_runs",
    get_scheduled_flow_runs,
    answers=list[shapes.WorkerFlowRunResponse],
)
router.door("POST", _WORKERS + "/heartbeat", worker_heartbeat, status=204)
router.door("POST", "/", create_work_pool, answers=_Pool, status=201)
router.door("POST", "/filter", read_work_pools, answers=list[_Pool])
router.door("POST", "/count", count_work_pools, answers=int)
router.door("GET", _ONE, read_work_pool, answers=_Pool)
router.door("PATCH", _ONE, update_work_pool, status=204)
router.door("DELETE", _ONE, delete_work_pool, status=204)
router.door(
    "POST",
    _ONE + "/concurrency_status",
    read_work_pool_concurrency_status,
    answers=shapes.WorkPoolConcurrencyStatus,
)
router.door("POST", _QUEUES, create_work_queue, answers=_Queue, status=201)
router.door("POST", _QUEUES + "/filter", read_work_queues, answers=list[_Queue])
router.door("GET", _QUEUES + "/{name}", read_work_queue, answers=_Queue)
router.door("PATCH", _QUEUES + "/{name}", update_work_queue, status=204)
router.door("DELETE", _QUEUES + "/{name}", delete_work_queue, status=204)
router.door("POST", _WORKERS + "/filter", read_workers, answers=list[shapes.WorkerResponse])
router.door("DELETE", _WORKERS + "/{name}", delete_worker, status=204)
