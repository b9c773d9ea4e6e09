"""The queue a run waits in: found, or made on the way. The rest of queues: `work_queues`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from penstock.contract.enums import WorkQueueStatus
from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, work_pool, work_queue
from penstock.store.transaction import Stale, Transaction

_SELECT_IN_POOL = Statement(
    select(work_queue.c.id, work_queue.c.name, work_queue.c.work_pool_id)
    .join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .where(
        work_pool.c.workspace_id == WORKSPACE,
        work_pool.c.name == bindparam("pool"),
        or_(
            work_queue.c.name == bindparam("queue"),
            bindparam("queue").is_(None) & (work_queue.c.id == work_pool.c.default_queue_id),
        ),
    )
)
_SELECT = Statement(
    select(work_queue.c.id).where(
        work_queue.c.work_pool_id == bindparam("pool_id"), work_queue.c.name == bindparam("name")
    )
)
_LAST_PRIORITY = Statement(
    select(func.coalesce(func.max(work_queue.c.priority), 0)).where(
        work_queue.c.work_pool_id == bindparam("pool_id")
    )
)
_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in work_queue.c}
_INSERT = {
    "sqlite": Statement(sqlite.insert(work_queue).values(_BINDS).on_conflict_do_nothing()),
    "postgresql": Statement(postgresql.insert(work_queue).values(_BINDS).on_conflict_do_nothing()),
}


def select_queue_of_pool(tx: Transaction, pool: str, queue: str | None) -> Row | None:
    """A pool's queue of that name (None: its default queue); None when pool or queue is missing."""
    row: Any = tx.row(_SELECT_IN_POOL, pool=pool, queue=queue)
    return row


def insert_work_queue_if_missing(tx: Transaction, pool_id: UUID, name: str, now: datetime) -> UUID:
    """The id of the pool's queue of that name, made with the lowest priority if it is missing."""
    found: UUID | None = tx.value(_SELECT, pool_id=pool_id, name=name)
    if found is not None:
        return found
    id = new_id(now)
    priority = tx.value(_LAST_PRIORITY, pool_id=pool_id) + 1
    if not _insert_queue(tx, id, pool_id, name, priority, now):
        raise Stale  # another request has just made it
    return id


def _insert_queue(
    tx: Transaction, id: UUID, pool_id: UUID, name: str, priority: int, now: datetime
) -> int:
    return tx.run(
        _INSERT[tx.dialect.name],
        id=id,
        created=now,
        updated=now,
        work_pool_id=pool_id,
        name=name,
        description="",
        is_paused=False,
        concurrency_limit=None,
        priority=priority,
        filter=None,
        last_polled=None,
        status=WorkQueueStatus.NOT_READY.value,
    )


_SELECT_TEMPLATE = Statement(
    select(work_pool.c.base_job_template).where(
        work_pool.c.workspace_id == WORKSPACE, work_pool.c.name == bindparam("pool")
    )
)
_POOL_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in work_pool.c}
_INSERT_POOL = {
    "sqlite": Statement(sqlite.insert(work_pool).values(_POOL_BINDS).on_conflict_do_nothing()),
    "postgresql": Statement(
        postgresql.insert(work_pool).values(_POOL_BINDS).on_conflict_do_nothing()
    ),
}


def select_pool_template(tx: Transaction, pool: str) -> str | None:
    """A pool's base job template as JSON text; None when there is no such pool."""
    text: str | None = tx.value(_SELECT_TEMPLATE, pool=pool)
    return text


def insert_default_pool_if_missing(tx: Transaction, pool: str, now: datetime) -> None:
    """Make the pool of queues that are named without one, with its default queue."""
    id, queue_id = new_id(now), new_id(now)
    values: dict[str, Any] = dict.fromkeys(work_pool.c.keys())
    values |= {
        "id": id,
        "workspace_id": WORKSPACE,
        "created": now,
        "updated": now,
        "name": pool,
        "type": "prefect-agent",
        "base_job_template": documents.EMPTY_OBJECT,
        "is_paused": False,
        "default_queue_id": queue_id,
        "storage_configuration": documents.EMPTY_OBJECT,
    }
    if tx.run(_INSERT_POOL[tx.dialect.name], **values):
        _insert_queue(tx, queue_id, id, "default", 1, now)
