"""Work queues: by name within their pool, or by id whatever pool they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Id, given, many, nothing, one, quoted
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.contract.rest.work_queues import (
        WorkQueueConcurrencyStatus,
        WorkQueueResponse,
        WorkQueueStatusDetail,
    )

WORK_QUEUE = ("work_queues", "WorkQueueResponse")


def create_work_queue(
    work_pool_name: str, *, name: str, priority: int | None = None, **fields: Any
) -> Call[WorkQueueResponse]:
    """Adds a queue to the pool."""
    path = f"/work_pools/{quoted(work_pool_name)}/queues"
    body = given(name=name, priority=priority, **fields)
    return Call("POST", path, one(*WORK_QUEUE), body, repeatable=False)


def read_work_queues(work_pool_name: str, **filter_body: Any) -> Call[list[WorkQueueResponse]]:
    """The pool's queues."""
    path = f"/work_pools/{quoted(work_pool_name)}/queues/filter"
    return Call("POST", path, many(*WORK_QUEUE), filter_body)


def read_work_queue(work_pool_name: str, name: str) -> Call[WorkQueueResponse]:
    """The pool's queue with this name."""
    path = f"/work_pools/{quoted(work_pool_name)}/queues/{quoted(name)}"
    return Call("GET", path, one(*WORK_QUEUE))


def update_work_queue(work_pool_name: str, name: str, **fields: Any) -> Call[None]:
    """Changes the given fields of the queue."""
    path = f"/work_pools/{quoted(work_pool_name)}/queues/{quoted(name)}"
    return Call("PATCH", path, nothing, fields)


def delete_work_queue(work_pool_name: str, name: str) -> Call[None]:
    """Deletes the queue."""
    path = f"/work_pools/{quoted(work_pool_name)}/queues/{quoted(name)}"
    return Call("DELETE", path, nothing)


def create_default_pool_queue(
    name: str, *, priority: int | None = None, **fields: Any
) -> Call[WorkQueueResponse]:
    """Adds a queue to the default pool, which is made on first use."""
    body = given(name=name, priority=priority, **fields)
    return Call("POST", "/work_queues/", one(*WORK_QUEUE), body, repeatable=False)


def read_all_work_queues(**filter_body: Any) -> Call[list[WorkQueueResponse]]:
    """The queues of all pools that match `work_queues`, `limit`, `offset`."""
    return Call("POST", "/work_queues/filter", many(*WORK_QUEUE), filter_body)


def read_work_queue_by_name(name: str) -> Call[WorkQueueResponse]:
    """The default pool's queue with this name."""
    return Call("GET", f"/work_queues/name/{quoted(name)}", one(*WORK_QUEUE))


def read_work_queue_by_id(work_queue_id: Id) -> Call[WorkQueueResponse]:
    """The queue with this id."""
    return Call("GET", f"/work_queues/{work_queue_id}", one(*WORK_QUEUE))


def update_work_queue_by_id(work_queue_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the queue with this id."""
    return Call("PATCH", f"/work_queues/{work_queue_id}", nothing, fields)


def delete_work_queue_by_id(work_queue_id: Id) -> Call[None]:
    """Deletes the queue with this id."""
    return Call("DELETE", f"/work_queues/{work_queue_id}", nothing)


def read_work_queue_runs(work_queue_id: Id, **page: Any) -> Call[list[FlowRunResponse]]:
    """The queue's due runs (`limit`, `scheduled_before`); counts as a poll of the queue."""
    path = f"/work_queues/{work_queue_id}/get_runs"
    return Call("POST", path, many("flow_runs", "FlowRunResponse"), page)


def read_work_queue_status(work_queue_id: Id) -> Call[WorkQueueStatusDetail]:
    """Whether the queue is polled and none of its runs is late."""
    path = f"/work_queues/{work_queue_id}/status"
    return Call("GET", path, one("work_queues", "WorkQueueStatusDetail"))


def read_work_queue_concurrency_status(
    work_queue_id: Id, **page: Any
) -> Call[WorkQueueConcurrencyStatus]:
    """Which runs hold the queue's slots (`page`, `limit`)."""
    path = f"/work_queues/{work_queue_id}/concurrency_status"
    return Call("POST", path, one("work_queues", "WorkQueueConcurrencyStatus"), page)
