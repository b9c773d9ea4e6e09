"""Statements of work pools, and rows <-> shape."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from penstock.contract.enums import WorkPoolStatus
from penstock.core import documents
from penstock.store.filters import Condition
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, deployment, flow_run, work_pool, work_queue, worker
from penstock.store.transaction import Transaction
from penstock.store.workers import is_online

#: runs that one unit of work changes at most
CHUNK = 400

# Runs that hold a slot. The first condition is the partial index's own, spelled out so that
# SQLite uses it.
HOLDS_SLOT: tuple[Condition, ...] = (
    literal_column("flow_run.state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"),
    literal_column("flow_run.state_type <> 'CANCELLING'"),
)

_SELECT = Statement(
    select(work_pool).where(
        work_pool.c.workspace_id == WORKSPACE, work_pool.c.name == bindparam("name")
    )
)
_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in work_pool.c}
_INSERT = {
    "sqlite": Statement(sqlite.insert(work_pool).values(_BINDS).on_conflict_do_nothing()),
    "postgresql": Statement(postgresql.insert(work_pool).values(_BINDS).on_conflict_do_nothing()),
}
_QUEUES = select(work_queue.c.id).where(work_queue.c.work_pool_id == bindparam("pool_id"))
_FREE_RUNS = [
    Statement(
        update(flow_run)
        .where(
            flow_run.c.id.in_(
                select(flow_run.c.id)
                .where(
                    # spelled out, so that SQLite uses a partial index
                    literal_column(condition),
                    flow_run.c.work_queue_id == bindparam("queue_id"),
                )
                .limit(CHUNK)
            )
        )
        .values(work_queue_id=None)
    )
    for condition in (
        "flow_run.state_type = 'SCHEDULED'",
        "flow_run.state_type IN ('PENDING', 'RUNNING', 'CANCELLING')",
    )
]
_FREE_DEPLOYMENTS = Statement(
    update(deployment)
    .where(deployment.c.work_queue_id == bindparam("queue_id"))
    .values(work_queue_id=None, revision=deployment.c.revision + 1)
)
_TOUCH_DEPLOYMENTS = Statement(
    update(deployment)
    .where(deployment.c.work_queue_id.in_(_QUEUES))
    .values(revision=deployment.c.revision + 1)
)
_SET_STATUS = Statement(
    update(work_pool)
    .where(
        work_pool.c.id == bindparam("pool_id"),
        work_pool.c.status == bindparam("seen"),
    )
    .values(status=bindparam("new_status"))
)


def work_pool_shape(row: Row, active_slots: int | None) -> dict[str, Any]:
    """WorkPoolResponse for a row of the table."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "description": row.description,
        "type": row.type,
        "base_job_template": documents.Fragment(row.base_job_template),
        "is_paused": row.is_paused,
        "concurrency_limit": row.concurrency_limit,
        "active_slots": active_slots,
        "status": row.status,
        "default_queue_id": row.default_queue_id,
        "storage_configuration": storage_shape(row.storage_configuration),
    }


def storage_shape(text: str) -> Any:
    """A storage configuration with all its fields."""
    if text != documents.EMPTY_OBJECT:
        return documents.Fragment(text)
    return {
        "bundle_upload_step": None,
        "bundle_execution_step": None,
        "default_result_storage_block_id": None,
    }


def select_work_pool(tx: Transaction, name: str) -> Row | None:
    """A pool's row; None when there is none of this name."""
    row: Any = tx.row(_SELECT, name=name)
    return row


def select_work_pool_shape(tx: Transaction, name: str) -> dict[str, Any] | None:
    """One pool; None when there is none of this name."""
    row = select_work_pool(tx, name)
    return None if row is None else _shapes(tx, [row])[0]


def _filtered(query: Select[Any], condition: Condition | None) -> Select[Any]:
    query = query.where(work_pool.c.workspace_id == WORKSPACE)
    return query if condition is None else query.where(condition)


def page_work_pools(
    tx: Transaction, condition: Condition | None, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the pools that match, by name."""
    query = _filtered(select(work_pool), condition).order_by(work_pool.c.name)
    return _shapes(tx, tx.rows(query.limit(limit).offset(offset)))


def count_work_pools(tx: Transaction, condition: Condition | None) -> int:
    """How many pools match."""
    count = select(func.count().label("pools")).select_from(work_pool)
    return int(tx.value(_filtered(count, condition)))


def _shapes(tx: Transaction, rows: list[Row]) -> list[dict[str, Any]]:
    limited = [r.id for r in rows if r.concurrency_limit is not None]
    slots = count_slots_of_pools(tx, limited)
    return [work_pool_shape(r, slots.get(r.id)) for r in rows]


def count_slots_of_pools(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many runs hold a slot of each of these pools."""
    slots = dict.fromkeys(ids, 0)
    if slots:
        query = (
            select(work_queue.c.work_pool_id, func.count().label("runs"))
            .join(flow_run, flow_run.c.work_queue_id == work_queue.c.id)
            .where(work_queue.c.work_pool_id.in_(slots), *HOLDS_SLOT)
            .group_by(work_queue.c.work_pool_id)
        )
        slots |= {r.work_pool_id: r.runs for r in tx.rows(query)}
    return slots


# ------------------------------------------------------------------ changes


def insert_work_pool(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Insert a pool; False, and nothing changed, when one of this name exists."""
    row = dict.fromkeys(work_pool.c.keys()) | {"workspace_id": WORKSPACE} | dict(values)
    return bool(tx.run(_INSERT[tx.dialect.name], **row))


@lru_cache(maxsize=64)
def _update(columns: tuple[str, ...]) -> Statement:
    values = {c: bindparam(f"new_{c}", type_=work_pool.c[c].type) for c in columns}
    return Statement(
        update(work_pool)
        .where(work_pool.c.id == bindparam("pool_id", type_=work_pool.c.id.type))
        .values(values)
    )


def update_work_pool(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> None:
    """Set columns of a pool."""
    params = {f"new_{k}": v for k, v in changes.items()}
    tx.run(_update(tuple(sorted(changes))), pool_id=id, **params)


def update_work_pool_status(
    tx: Transaction, id: UUID, seen: WorkPoolStatus, status: WorkPoolStatus
) -> bool:
    """Change a pool's status if it is still what was seen; whether it was."""
    params = {"seen": seen.value, "new_status": status.value}
    return bool(tx.run(_SET_STATUS, pool_id=id, **params))


def touch_deployments_of_pool(tx: Transaction, pool_id: UUID) -> None:
    """Count the revision of a pool's deployments: what was prepared from the pool is stale."""
    tx.run(_TOUCH_DEPLOYMENTS, pool_id=pool_id)


def free_runs_of_queue(tx: Transaction, queue_id: UUID) -> int:
    """Take runs that have not ended out of a queue, a chunk at a time; how many this time."""
    return sum(tx.run(statement, queue_id=queue_id) for statement in _FREE_RUNS)


def free_deployments_of_queue(tx: Transaction, queue_id: UUID) -> None:
    """Leave a queue's deployments without a queue."""
    tx.run(_FREE_DEPLOYMENTS, queue_id=queue_id)


def delete_work_pool_row(tx: Transaction, id: UUID) -> bool:
    """Delete a pool with its queues and workers; False when it is not there."""
    tx.run(delete(worker).where(worker.c.work_pool_id == id))
    tx.run(delete(work_queue).where(work_queue.c.work_pool_id == id))
    return bool(tx.run(delete(work_pool).where(work_pool.c.id == id)))


# ------------------------------------------------------------------ status


def _abandoned(now: datetime) -> list[Condition]:
    online = select(worker.c.id).where(
        worker.c.work_pool_id == work_pool.c.id, is_online(worker, now)
    )
    return [
        work_pool.c.status == WorkPoolStatus.READY.value,
        ~online.correlate(work_pool).exists(),
    ]


def select_abandoned_pools(tx: Transaction, now: datetime) -> bool:
    """Whether there are READY pools without a worker that is online."""
    return tx.value(select(work_pool.c.id).where(*_abandoned(now)).limit(1)) is not None


def mark_abandoned_pools(tx: Transaction, now: datetime) -> list[Row]:
    """Make READY pools without a worker that is online NOT_READY; their rows."""
    return tx.rows(
        update(work_pool)
        .where(*_abandoned(now))
        .values(status=WorkPoolStatus.NOT_READY.value)
        .returning(work_pool.c.id, work_pool.c.name, work_pool.c.type)
    )
