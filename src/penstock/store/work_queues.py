"""Statements of work queues, and rows <-> shape. A queue found or made on the way: `run_queues`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, literal_column, or_, select, update

from penstock.contract.enums import WorkQueueStatus
from penstock.core import documents
from penstock.store.filters import Condition
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, deployment, flow_run, work_pool, work_queue
from penstock.store.transaction import Transaction
from penstock.store.work_pools import HOLDS_SLOT

#: a queue polled more recently than that is READY
READY_FOR = timedelta(seconds=60)

#: a queue with the name of its pool
SELECT_QUEUES: Select[Any] = select(
    work_queue,
    work_pool.c.name.label("work_pool_name"),
    work_pool.c.type.label("work_pool_type"),
    work_pool.c.default_queue_id,
).join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
_SELECT = Statement(SELECT_QUEUES.where(work_queue.c.id == bindparam("id")))
_SELECT_BY_NAME = Statement(
    SELECT_QUEUES.where(
        work_pool.c.workspace_id == WORKSPACE,
        work_pool.c.name == bindparam("pool"),
        work_queue.c.name == bindparam("name"),
    )
)
_SELECT_PRIORITIES = Statement(
    select(work_queue.c.id, work_queue.c.name, work_queue.c.priority).where(
        work_queue.c.work_pool_id == bindparam("pool_id")
    )
)
_INSERT = Statement(
    work_queue.insert().values({c.name: bindparam(c.name, type_=c.type) for c in work_queue.c})
)
_SET_PRIORITY = Statement(
    update(work_queue)
    .where(work_queue.c.id == bindparam("queue_id", type_=work_queue.c.id.type))
    .values(priority=bindparam("new_priority"))
)
_COUNT_LATE = Statement(
    select(func.count().label("runs"))
    .select_from(flow_run)
    .where(
        # spelled out, so that SQLite uses the partial index
        literal_column("flow_run.state_type = 'SCHEDULED'"),
        flow_run.c.work_queue_id == bindparam("queue_id"),
        flow_run.c.state_name == "Late",
    )
)
_TOUCH_DEPLOYMENTS = Statement(
    update(deployment)
    .where(deployment.c.work_queue_id == bindparam("queue_id"))
    .values(revision=deployment.c.revision + 1)
)


def work_queue_shape(row: Row, active_slots: int | None) -> dict[str, Any]:
    """WorkQueueResponse for a row of SELECT_QUEUES."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "description": row.description,
        "is_paused": row.is_paused,
        "concurrency_limit": row.concurrency_limit,
        "active_slots": active_slots,
        "priority": row.priority,
        "work_pool_id": row.work_pool_id,
        "work_pool_name": row.work_pool_name,
        "filter": None if row.filter is None else documents.Fragment(row.filter),
        "last_polled": row.last_polled,
        "status": row.status,
    }


def select_work_queue(tx: Transaction, id: UUID) -> Row | None:
    """A row of SELECT_QUEUES; None when there is none with this id."""
    row: Any = tx.row(_SELECT, id=id)
    return row


def select_work_queue_by_name(tx: Transaction, pool: str, name: str) -> Row | None:
    """A row of SELECT_QUEUES; None when pool or queue is missing."""
    row: Any = tx.row(_SELECT_BY_NAME, pool=pool, name=name)
    return row


def work_queue_shapes(tx: Transaction, rows: list[Row]) -> list[dict[str, Any]]:
    """Rows of SELECT_QUEUES as WorkQueueResponse, with the slots of those that have a limit."""
    limited = [r.id for r in rows if r.concurrency_limit is not None]
    slots = count_slots_of_queues(tx, limited)
    return [work_queue_shape(r, slots.get(r.id)) for r in rows]


def page_work_queues(
    tx: Transaction, pool_id: UUID | None, condition: Condition | None, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the queues that match: of a pool by priority, of all pools by name."""
    if pool_id is None:
        query = SELECT_QUEUES.where(work_pool.c.workspace_id == WORKSPACE)
        query = query.order_by(work_queue.c.name, work_queue.c.id)
    else:
        query = SELECT_QUEUES.where(work_queue.c.work_pool_id == pool_id)
        query = query.order_by(work_queue.c.priority, work_queue.c.id)
    if condition is not None:
        query = query.where(condition)
    return work_queue_shapes(tx, tx.rows(query.limit(limit).offset(offset)))


def count_slots_of_queues(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many runs hold a slot of each of these queues."""
    slots = dict.fromkeys(ids, 0)
    if slots:
        query = (
            select(flow_run.c.work_queue_id, func.count().label("runs"))
            .where(flow_run.c.work_queue_id.in_(slots), *HOLDS_SLOT)
            .group_by(flow_run.c.work_queue_id)
        )
        slots |= {r.work_queue_id: r.runs for r in tx.rows(query)}
    return slots


def select_slot_holders(
    tx: Transaction, queue_id: UUID, limit: int, offset: int, now: datetime
) -> list[dict[str, Any]]:
    """One page of the runs that hold a queue's slots, as FlowRunSlotSummary, the longest first."""
    run = flow_run.c
    query = (
        select(
            run.id, run.name, run.state_type, run.state_name, run.state_timestamp, run.start_time
        )
        .where(run.work_queue_id == queue_id, *HOLDS_SLOT)
        .order_by(run.state_timestamp, run.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        r._asdict() | {"time_in_current_state": max(0.0, (now - r.state_timestamp).total_seconds())}
        for r in tx.rows(query)
    ]


def select_pool_slots(
    tx: Transaction, pool_id: UUID, limit: int, offset: int, runs: int, now: datetime
) -> tuple[int, list[dict[str, Any]]]:
    """How many queues a pool has, and who holds slots of one page of them, at most `runs` each."""
    in_pool = work_queue.c.work_pool_id == pool_id
    count = int(tx.value(select(func.count().label("queues")).where(in_pool)))
    page = select(work_queue.c.id, work_queue.c.name, work_queue.c.concurrency_limit).where(in_pool)
    page = page.order_by(work_queue.c.priority, work_queue.c.id).limit(limit).offset(offset)
    queues = tx.rows(page)
    slots = count_slots_of_queues(tx, [q.id for q in queues])
    details = [
        {
            "queue_id": q.id,
            "queue_name": q.name,
            "concurrency_limit": q.concurrency_limit,
            "active_slots": slots[q.id],
            "flow_run_count": slots[q.id],
            "flow_runs": select_slot_holders(tx, q.id, runs, 0, now) if slots[q.id] else [],
        }
        for q in queues
    ]
    return count, details


def count_late_runs(tx: Transaction, queue_id: UUID) -> int:
    """How many runs of a queue are late."""
    return int(tx.value(_COUNT_LATE, queue_id=queue_id))


def select_queues_of_pool(tx: Transaction, pool_id: UUID) -> list[Row]:
    """`id`, `name` and `priority` of every queue of a pool."""
    return tx.rows(_SELECT_PRIORITIES, pool_id=pool_id)


# ------------------------------------------------------------------ changes


def insert_work_queue(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a queue. Conflict when the pool has one of this name."""
    new = {
        "description": "",
        "is_paused": False,
        "concurrency_limit": None,
        "filter": None,
        "last_polled": None,
        "status": WorkQueueStatus.NOT_READY.value,
    }
    tx.run(_INSERT, **{**new, **values})


@lru_cache(maxsize=64)
def _update(columns: tuple[str, ...]) -> Statement:
    values = {c: bindparam(f"new_{c}", type_=work_queue.c[c].type) for c in columns}
    return Statement(
        update(work_queue)
        .where(work_queue.c.id == bindparam("queue_id", type_=work_queue.c.id.type))
        .values(values)
    )


def update_work_queue(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> None:
    """Set columns of a queue."""
    params = {f"new_{k}": v for k, v in changes.items()}
    tx.run(_update(tuple(sorted(changes))), queue_id=id, **params)


def update_priorities(tx: Transaction, priorities: Mapping[UUID, int]) -> None:
    """Give queues new places in their pool's order."""
    moves = [{"queue_id": id, "new_priority": p} for id, p in priorities.items()]
    tx.run_many(_SET_PRIORITY, moves)


def touch_deployments_of_queue(tx: Transaction, queue_id: UUID) -> None:
    """Count the revision of a queue's deployments: what was prepared from the queue is stale."""
    tx.run(_TOUCH_DEPLOYMENTS, queue_id=queue_id)


def delete_work_queue_row(tx: Transaction, id: UUID) -> bool:
    """Delete a queue's row; False when it is not there."""
    return bool(tx.run(delete(work_queue).where(work_queue.c.id == id)))


# ------------------------------------------------------------------ status

_EVENT_COLUMNS = (work_queue.c.id, work_queue.c.name, work_queue.c.work_pool_id)


def mark_queues_polled(tx: Transaction, ids: Collection[UUID], now: datetime) -> list[Row]:
    """Note that queues were polled; `id`, `name`, `work_pool_id` of those that became READY."""
    mine = work_queue.c.id.in_(ids)
    older = or_(work_queue.c.last_polled.is_(None), work_queue.c.last_polled < now)
    tx.run(update(work_queue).where(mine, older).values(last_polled=now))
    return tx.rows(
        update(work_queue)
        .where(mine, work_queue.c.status == WorkQueueStatus.NOT_READY.value)
        .values(status=WorkQueueStatus.READY.value)
        .returning(*_EVENT_COLUMNS)
    )


def _forgotten(now: datetime) -> list[Condition]:
    last = work_queue.c.last_polled
    return [
        work_queue.c.status == WorkQueueStatus.READY.value,
        or_(last.is_(None), last < now - READY_FOR),
    ]


def select_forgotten_queues(tx: Transaction, now: datetime) -> bool:
    """Whether there are READY queues that nobody has polled lately."""
    return tx.value(select(work_queue.c.id).where(*_forgotten(now)).limit(1)) is not None


def mark_forgotten_queues(tx: Transaction, now: datetime) -> list[Row]:
    """Make READY queues that nobody has polled lately NOT_READY; their rows."""
    return tx.rows(
        update(work_queue)
        .where(*_forgotten(now))
        .values(status=WorkQueueStatus.NOT_READY.value)
        .returning(*_EVENT_COLUMNS)
    )


def select_pools_of_queues(tx: Transaction, queue_ids: Collection[UUID]) -> dict[UUID, Row]:
    """`id`, `name` and `type` of the pools of these queues, by pool id."""
    query = select(work_pool.c.id, work_pool.c.name, work_pool.c.type).where(
        work_pool.c.id.in_(select(work_queue.c.work_pool_id).where(work_queue.c.id.in_(queue_ids)))
    )
    return {r.id: r for r in tx.rows(query)}


def select_deployments_not_polled(
    tx: Transaction, queue_ids: Collection[UUID], now: datetime
) -> list[UUID]:
    """Deployments on these queues that nobody has polled by themselves lately, at most 500."""
    last = deployment.c.last_polled
    query = (
        select(deployment.c.id)
        .where(
            deployment.c.work_queue_id.in_(queue_ids), or_(last.is_(None), last < now - READY_FOR)
        )
        .limit(500)
    )
    return [r.id for r in tx.rows(query)]


def select_deployments_forgotten(tx: Transaction, since: datetime, now: datetime) -> list[UUID]:
    """Deployments polled by themselves whose time of READY has run out since; not those whose
    queue is still READY. At most 500."""
    last = deployment.c.last_polled
    query = (
        select(deployment.c.id)
        .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
        .where(
            last >= since - READY_FOR,
            last < now - READY_FOR,
            or_(work_queue.c.id.is_(None), work_queue.c.status != WorkQueueStatus.READY.value),
        )
        .limit(500)
    )
    return [r.id for r in tx.rows(query)]


def select_deployments_to_note(
    tx: Transaction, ids: Collection[UUID], before: datetime
) -> list[UUID]:
    """Those of these deployments of which no poll was noted since that time."""
    last = deployment.c.last_polled
    query = select(deployment.c.id).where(
        deployment.c.id.in_(ids), or_(last.is_(None), last < before)
    )
    return [r.id for r in tx.rows(query)]


def mark_deployments_polled(tx: Transaction, ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Note that deployments were polled by themselves; which of them became READY by that."""
    mine, last = deployment.c.id.in_(ids), deployment.c.last_polled
    unpolled = [mine, or_(last.is_(None), last < now - READY_FOR)]
    fresh = update(deployment).where(*unpolled).values(last_polled=now).returning(deployment.c.id)
    woken = [r.id for r in tx.rows(fresh)]
    tx.run(update(deployment).where(mine, last < now).values(last_polled=now))
    if not woken:
        return []
    # Those whose queue is polled were READY before.
    query = (
        select(deployment.c.id)
        .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
        .where(
            deployment.c.id.in_(woken),
            or_(work_queue.c.id.is_(None), work_queue.c.status != WorkQueueStatus.READY.value),
        )
    )
    return [r.id for r in tx.rows(query)]
