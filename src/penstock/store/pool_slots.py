"""Statements that count the runs a pool or queue executes, while nobody else can start one."""

from uuid import UUID

from sqlalchemy import bindparam, func, select

from penstock.store.statements import Statement
from penstock.store.tables import flow_run, work_queue
from penstock.store.transaction import Transaction
from penstock.store.work_pools import HOLDS_SLOT

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))"
_COUNT_OF_QUEUE = Statement(
    select(func.count().label("runs"))
    .select_from(flow_run)
    .where(
        flow_run.c.work_queue_id == bindparam("queue_id", type_=flow_run.c.work_queue_id.type),
        *HOLDS_SLOT,
    )
)
# A pool's limit counts the runs of its paused queues not, here as at the poll.
_COUNT_OF_POOL = Statement(
    select(func.count().label("runs"))
    .select_from(work_queue)
    .join(flow_run, flow_run.c.work_queue_id == work_queue.c.id)
    .where(
        work_queue.c.work_pool_id == bindparam("pool_id", type_=work_queue.c.work_pool_id.type),
        work_queue.c.is_paused.is_(False),
        *HOLDS_SLOT,
    )
)


def lock_pool(tx: Transaction, pool_id: UUID) -> None:
    """Have others who would start a run of this pool wait until this transaction has ended."""
    if tx.is_postgres:  # SQLite has one writer
        tx.run_rows(_LOCK, (str(pool_id),))


def count_runs_of_queue(tx: Transaction, queue_id: UUID) -> int:
    """How many runs hold a slot of a queue."""
    return int(tx.value(_COUNT_OF_QUEUE, queue_id=queue_id))


def count_runs_of_pool(tx: Transaction, pool_id: UUID) -> int:
    """How many runs hold a slot of a pool."""
    return int(tx.value(_COUNT_OF_POOL, pool_id=pool_id))
