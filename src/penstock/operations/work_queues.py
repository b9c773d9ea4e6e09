"""Writing work queues: those of a pool, and those named without one (in the default pool)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.enums import WorkQueueStatus
from penstock.contract.rest.work_queues import QueueFilter, WorkQueueCreate, WorkQueueUpdate
from penstock.core import documents
from penstock.core.errors import Conflict, NotFound
from penstock.core.ids import new_id
from penstock.core.queue_priorities import close_gap, first_free_priority, make_room
from penstock.operations.deployments import DEFAULT_POOL
from penstock.operations.work_pool_events import tell_work_queue
from penstock.operations.work_pools import PooledRow, required_pool
from penstock.store import work_queues as store
from penstock.store.run_queues import insert_default_pool_if_missing
from penstock.store.statements import Row
from penstock.store.transaction import Transaction
from penstock.store.work_pools import (
    free_deployments_of_queue,
    free_runs_of_queue,
    select_work_pool,
)


def required_queue(tx: Transaction, id: UUID) -> Row:
    """The row of a queue; raises NotFound."""
    row = store.select_work_queue(tx, id)
    if row is None:
        raise NotFound(f"There is no work queue {id}")
    return row


def required_queue_of_pool(tx: Transaction, pool: str, name: str) -> Row:
    """The row of a pool's queue; raises NotFound."""
    row = store.select_work_queue_by_name(tx, pool, name)
    if row is None:
        raise NotFound(f"There is no work queue {name!r} in work pool {pool!r}")
    return row


def _pool_of(queue: Row) -> PooledRow:
    return PooledRow(queue.work_pool_id, queue.work_pool_name, queue.work_pool_type)


# ------------------------------------------------------------------ creating


def create_work_queue(
    tx: Transaction, pool_name: str, body: WorkQueueCreate, now: datetime
) -> dict[str, Any]:
    """Create a queue of a pool; its priority pushes others down. Raises NotFound, Conflict."""
    pool = required_pool(tx, pool_name)
    others = store.select_queues_of_pool(tx, pool.id)
    if any(q.name == body.name for q in others):
        raise Conflict(f"There is a work queue {body.name!r} in work pool {pool_name!r} already")
    taken = {q.id: q.priority for q in others}
    priority = body.priority or first_free_priority(taken.values())
    store.update_priorities(tx, make_room(taken, priority))
    id = new_id(now)
    status = WorkQueueStatus.PAUSED if body.is_paused else WorkQueueStatus.NOT_READY
    values = {
        "id": id,
        "created": now,
        "updated": now,
        "work_pool_id": pool.id,
        "name": body.name,
        "description": body.description or "",
        "is_paused": body.is_paused,
        "concurrency_limit": body.concurrency_limit,
        "priority": priority,
        "filter": _filter(body.filter),
        "status": status.value,
    }
    store.insert_work_queue(tx, values)
    queue = required_queue(tx, id)
    tell_work_queue(tx, queue, pool, "created", now)
    return store.work_queue_shapes(tx, [queue])[0]


def create_default_pool_queue(
    tx: Transaction, body: WorkQueueCreate, now: datetime
) -> dict[str, Any]:
    """Create a queue that names no pool, in the default pool, which is made on first use."""
    if select_work_pool(tx, DEFAULT_POOL) is None:
        insert_default_pool_if_missing(tx, DEFAULT_POOL, now)
        if body.name == "default":
            queue = required_queue_of_pool(tx, DEFAULT_POOL, body.name)
            return store.work_queue_shapes(tx, [queue])[0]
    return create_work_queue(tx, DEFAULT_POOL, body, now)


def _filter(filter: QueueFilter | None) -> str | None:
    return None if filter is None else documents.dump(filter.model_dump(mode="json"))


# ------------------------------------------------------------------ changing


def update_work_queue(tx: Transaction, queue: Row, body: WorkQueueUpdate, now: datetime) -> None:
    """Change what was sent of a queue. Raises Conflict when the new name is taken."""
    sent = body.model_fields_set
    others = {q.id: q for q in store.select_queues_of_pool(tx, queue.work_pool_id)}
    others.pop(queue.id, None)
    changes: dict[str, Any] = {"updated": now}
    for column in ("concurrency_limit", "last_polled"):
        if column in sent:
            changes[column] = getattr(body, column)
    if "description" in sent:
        changes["description"] = body.description or ""
    if "filter" in sent:
        changes["filter"] = _filter(body.filter)
    if body.name is not None and body.name != queue.name:
        if any(q.name == body.name for q in others.values()):
            raise Conflict(f"The work pool has a work queue {body.name!r} already")
        changes["name"] = body.name
        store.touch_deployments_of_queue(tx, queue.id)
    if body.priority is not None and body.priority != queue.priority:
        taken = {id: q.priority for id, q in others.items()}
        store.update_priorities(tx, make_room(taken, body.priority))
        changes["priority"] = body.priority
    if "is_paused" in sent:
        changes["is_paused"] = body.is_paused
        changes["status"] = _status(queue, body.is_paused, changes, now)
    store.update_work_queue(tx, queue.id, changes)
    tell_work_queue(tx, queue, _pool_of(queue), "updated", now)
    status = changes.get("status", queue.status)
    if status != queue.status:
        tell_work_queue(tx, queue, _pool_of(queue), status.lower().replace("_", "-"), now)


def _status(queue: Row, paused: bool, changes: Mapping[str, Any], now: datetime) -> str:
    if paused:
        return WorkQueueStatus.PAUSED.value
    polled = changes.get("last_polled", queue.last_polled)
    ready = polled is not None and now - polled < store.READY_FOR
    return (WorkQueueStatus.READY if ready else WorkQueueStatus.NOT_READY).value


# ------------------------------------------------------------------ deleting


def check_deletable(queue: Row) -> None:
    """Raise Conflict for a queue that its pool cannot do without."""
    if queue.id == queue.default_queue_id:
        raise Conflict(
            f"{queue.name!r} is the default queue of work pool {queue.work_pool_name!r}; "
            "delete the pool, or pause the queue"
        )


def delete_work_queue(tx: Transaction, id: UUID, now: datetime) -> None:
    """Delete a queue, once `free_runs_of_queue` finds no more runs; those after it move up.

    Its deployments stay, without a queue. Raises NotFound, Conflict for the default queue.
    """
    queue = required_queue(tx, id)
    check_deletable(queue)
    free_runs_of_queue(tx, id)
    free_deployments_of_queue(tx, id)
    store.delete_work_queue_row(tx, id)
    others = store.select_queues_of_pool(tx, queue.work_pool_id)
    priorities = {q.id: q.priority for q in others}
    store.update_priorities(tx, close_gap(priorities, queue.priority))
    tell_work_queue(tx, queue, _pool_of(queue), "deleted", now)
