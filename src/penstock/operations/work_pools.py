"""Writing work pools and their workers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.enums import WorkPoolStatus
from penstock.contract.rest.work_pools import (
    WorkPoolCreate,
    WorkPoolStorageConfiguration,
    WorkPoolUpdate,
)
from penstock.core import documents
from penstock.core.errors import Conflict, Forbidden, NotFound
from penstock.core.ids import new_id
from penstock.operations.block_defaults import check_template_with_blocks
from penstock.operations.work_pool_events import tell_work_pool
from penstock.store import work_pools as store
from penstock.store.statements import Row
from penstock.store.transaction import Transaction
from penstock.store.work_queues import insert_work_queue, select_queues_of_pool
from penstock.store.workers import delete_worker as delete_worker_row
from penstock.store.workers import select_has_worker_online, upsert_worker

_RESERVED = "prefect"
#: what may be changed of a pool with a reserved name
_RESERVED_FIELDS = frozenset({"is_paused", "concurrency_limit"})
#: compat: pools of this type have no status; the first generation's agents send no heartbeats
AGENT_TYPE = "prefect-agent"


@dataclass(slots=True)
class PooledRow:
    """What events say of a pool."""

    id: UUID
    name: str
    type: str


def is_reserved(name: str) -> bool:
    """Whether only the server itself makes and changes pools of this name."""
    return name.lower().startswith(_RESERVED)


def required_pool(tx: Transaction, name: str) -> Row:
    """The row of a pool; raises NotFound."""
    row = store.select_work_pool(tx, name)
    if row is None:
        raise NotFound(f"There is no work pool {name!r}")
    return row


def _storage(configuration: WorkPoolStorageConfiguration | None) -> str:
    return documents.dump((configuration or WorkPoolStorageConfiguration()).model_dump(mode="json"))


# ------------------------------------------------------------------ creating


def prepare_work_pool(tx: Transaction, body: WorkPoolCreate) -> WorkPoolCreate:
    """Check a pool to create. Raises Forbidden for a reserved name, InvalidInput for a template."""
    if is_reserved(body.name):
        raise Forbidden(f"Names that start with {_RESERVED!r} are reserved; choose another")
    check_template_with_blocks(tx, body.base_job_template)
    return body


def create_work_pool(tx: Transaction, body: WorkPoolCreate, now: datetime) -> dict[str, Any]:
    """Create the pool with its default queue; raises Conflict when the name is taken."""
    id, queue_id = new_id(now), new_id(now)
    status = WorkPoolStatus.PAUSED if body.is_paused else WorkPoolStatus.NOT_READY
    values = {
        "id": id,
        "created": now,
        "updated": now,
        "name": body.name,
        "description": body.description,
        "type": body.type,
        "base_job_template": documents.dump(body.base_job_template),
        "is_paused": body.is_paused,
        "concurrency_limit": body.concurrency_limit,
        "status": None if body.type == AGENT_TYPE else status.value,
        "default_queue_id": queue_id,
        "storage_configuration": _storage(body.storage_configuration),
    }
    if not store.insert_work_pool(tx, values):
        raise Conflict(f"There is a work pool {body.name!r} already")
    queue = {"id": queue_id, "created": now, "updated": now, "work_pool_id": id}
    insert_work_queue(tx, queue | {"name": "default", "priority": 1})
    tell_work_pool(tx, PooledRow(id, body.name, body.type), "created", now)
    shape = store.select_work_pool_shape(tx, body.name)
    assert shape is not None
    return shape


# ------------------------------------------------------------------ changing


def prepare_work_pool_update(tx: Transaction, body: WorkPoolUpdate, name: str) -> WorkPoolUpdate:
    """Check the changes of a pool. Raises Forbidden for a reserved pool, InvalidInput."""
    if is_reserved(name) and body.model_fields_set - _RESERVED_FIELDS:
        raise Forbidden(f"The pool {name!r} is reserved; only its pause and limit can be changed")
    if body.base_job_template is not None:
        check_template_with_blocks(tx, body.base_job_template)
    return body


def update_work_pool(tx: Transaction, body: WorkPoolUpdate, name: str, now: datetime) -> list[UUID]:
    """Change what was sent. The queues that may be polled again by this; raises NotFound."""
    pool = required_pool(tx, name)
    changes: dict[str, Any] = {"updated": now}
    sent = body.model_fields_set
    for column in ("description", "concurrency_limit"):
        if column in sent:
            changes[column] = getattr(body, column)
    if "storage_configuration" in sent:
        changes["storage_configuration"] = _storage(body.storage_configuration)
    if body.base_job_template is not None:
        changes["base_job_template"] = documents.dump(body.base_job_template)
    if body.is_paused is not None:
        changes["is_paused"] = body.is_paused
        changes["status"] = _status(tx, pool, body.is_paused, now)
    store.update_work_pool(tx, pool.id, changes)
    if "base_job_template" in changes:
        store.touch_deployments_of_pool(tx, pool.id)
    tell_work_pool(tx, pool, "updated", now)
    status = changes.get("status", pool.status)
    if status != pool.status:
        tell_work_pool(tx, pool, status.lower().replace("_", "-"), now)
    if "is_paused" not in changes and "concurrency_limit" not in changes:
        return []
    return [q.id for q in select_queues_of_pool(tx, pool.id)]


def _status(tx: Transaction, pool: Row, paused: bool, now: datetime) -> str | None:
    if pool.type == AGENT_TYPE:
        return None
    if paused:
        return WorkPoolStatus.PAUSED.value
    if pool.status not in (None, WorkPoolStatus.PAUSED.value):
        status: str = pool.status
        return status
    online = select_has_worker_online(tx, pool.id, now)
    return (WorkPoolStatus.READY if online else WorkPoolStatus.NOT_READY).value


# ------------------------------------------------------------------ deleting


def deletable_pool(tx: Transaction, name: str) -> list[UUID]:
    """The queues of a pool to delete; raises NotFound, Forbidden for a reserved pool."""
    pool = required_pool(tx, name)
    if is_reserved(name):
        raise Forbidden(f"The pool {name!r} is reserved; it cannot be deleted")
    return [q.id for q in select_queues_of_pool(tx, pool.id)]


def delete_work_pool(tx: Transaction, name: str, now: datetime) -> None:
    """Delete a pool with its queues and workers, once `free_runs_of_queue` finds no more runs.

    Its deployments stay, without a queue.
    """
    pool = required_pool(tx, name)
    for queue in select_queues_of_pool(tx, pool.id):
        store.free_runs_of_queue(tx, queue.id)
        store.free_deployments_of_queue(tx, queue.id)
    store.delete_work_pool_row(tx, pool.id)
    tell_work_pool(tx, pool, "deleted", now)


# ------------------------------------------------------------------ workers


def record_heartbeat(
    tx: Transaction, pool_name: str, worker: str, interval_seconds: float | None, now: datetime
) -> None:
    """Note that a worker is alive; its pool is READY. Raises NotFound for an unknown pool."""
    pool = required_pool(tx, pool_name)
    upsert_worker(tx, pool.id, worker, interval_seconds, now)
    not_ready, ready = WorkPoolStatus.NOT_READY, WorkPoolStatus.READY
    if pool.status == not_ready.value and store.update_work_pool_status(
        tx, pool.id, not_ready, ready
    ):
        tell_work_pool(tx, pool, "ready", now)


def delete_worker(tx: Transaction, pool_name: str, worker: str) -> None:
    """Forget a worker. Raises NotFound for an unknown pool or worker."""
    pool = required_pool(tx, pool_name)
    if not delete_worker_row(tx, pool.id, worker):
        raise NotFound(f"There is no worker {worker!r} in work pool {pool_name!r}")
