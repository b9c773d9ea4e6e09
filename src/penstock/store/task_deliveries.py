"""Background task runs on their way to task workers, and the task workers that are connected."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, or_, select, type_coerce, update

from penstock.core import documents
from penstock.store.bulk_rows import insert_rows
from penstock.store.column_types import Time
from penstock.store.outbox import tell
from penstock.store.statements import Statement
from penstock.store.tables import task_delivery, task_worker
from penstock.store.transaction import Transaction

#: what the outbox calls a task run that waits for a task worker
NEW_DELIVERY = "task-delivery"
#: task runs that were given back or are retried go before all others
AGAIN, FIRST = 0, 1

_ROW = task_delivery.c
_ID = _ROW.task_run_id == bindparam("id", type_=_ROW.task_run_id.type)
_BY = bindparam("by", type_=_ROW.claimed_by.type)
_NOW = bindparam("now", type_=_ROW.claimed_until.type)
_UPSERT = (
    "ON CONFLICT (task_run_id) DO UPDATE SET priority = excluded.priority,"
    " claimed_by = NULL, claimed_until = excluded.claimed_until"
)
# On PostgreSQL servers pass by what another one is just claiming; SQLite has only one writer.
_NEXT = (
    select(_ROW.task_run_id)
    .where(
        _ROW.task_key == bindparam("task_key"),
        or_(_ROW.claimed_until.is_(None), _ROW.claimed_until <= _NOW),
    )
    .order_by(_ROW.priority, _ROW.created)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_CLAIM = Statement(
    update(task_delivery)
    .where(_ROW.task_run_id == _NEXT.scalar_subquery())
    .values(claimed_by=_BY, claimed_until=bindparam("until", type_=_ROW.claimed_until.type))
    .returning(_ROW.task_run_id)
)
_DELETE = Statement(delete(task_delivery).where(_ID, _ROW.claimed_by == _BY))
_GIVE_BACK = Statement(
    update(task_delivery)
    .where(_ID, _ROW.claimed_by == _BY)
    .values(claimed_by=None, claimed_until=None, priority=AGAIN)
    .returning(_ROW.task_key)
)


def insert_delivery(
    tx: Transaction, task_run_id: UUID, task_key: str, priority: int, at: datetime, now: datetime
) -> None:
    """Have a task run delivered to one task worker, not before `at`; who waits is told."""
    row = (task_run_id, task_key, priority, now, None, at if at > now else None)
    insert_rows(tx, task_delivery, [row], tail=_UPSERT)
    tell(tx, NEW_DELIVERY, {"task_key": task_key, "at": at})


def claim_delivery(
    tx: Transaction, task_key: str, by: UUID, now: datetime, until: datetime
) -> UUID | None:
    """The next task run of that key, for `by` alone until then; None when nothing waits."""
    found: UUID | None = tx.value(_CLAIM, task_key=task_key, by=by, now=now, until=until)
    return found


def delete_delivery(tx: Transaction, task_run_id: UUID, by: UUID) -> bool:
    """Note that a task run was delivered; False when it is no longer claimed by `by`."""
    return bool(tx.run(_DELETE, id=task_run_id, by=by))


def return_delivery(tx: Transaction, task_run_id: UUID, by: UUID, now: datetime) -> None:
    """Have somebody else get what `by` has claimed and not acknowledged."""
    task_key = tx.value(_GIVE_BACK, id=task_run_id, by=by)
    if task_key is not None:
        tell(tx, NEW_DELIVERY, {"task_key": task_key, "at": now})


def select_next_delivery(tx: Transaction, task_keys: Collection[str]) -> datetime | None:
    """When the next of what waits for these keys, or is claimed, may be had; None: nothing is."""
    at = func.min(func.coalesce(_ROW.claimed_until, _ROW.created, type_=Time))
    found: datetime | None = tx.value(
        select(type_coerce(at, Time).label("at")).where(_ROW.task_key.in_(list(task_keys)))
    )
    return found


# ------------------------------------------------------------------ task workers

_WORKER = task_worker.c
_OF_WORKER = _WORKER.id == bindparam("worker_id", type_=_WORKER.id.type)
_SEEN = bindparam("seen", type_=_WORKER.last_seen.type)
_UPDATE_WORKER = Statement(update(task_worker).where(_OF_WORKER).values(last_seen=_SEEN))
_DELETE_WORKER = Statement(delete(task_worker).where(_OF_WORKER))
_DELETE_OLD_WORKERS = Statement(
    delete(task_worker).where(_WORKER.last_seen < bindparam("before", type_=_WORKER.last_seen.type))
)
_SELECT_WORKERS = Statement(
    select(task_worker)
    .where(_WORKER.last_seen >= bindparam("since", type_=_WORKER.last_seen.type))
    .order_by(_WORKER.identifier, _WORKER.id)
)


def insert_task_worker(
    tx: Transaction, id: UUID, identifier: str, task_keys: Sequence[str], now: datetime
) -> None:
    """Note that a task worker has connected."""
    row = (id, identifier, documents.dump(list(task_keys)), now)
    insert_rows(tx, task_worker, [row])


def update_task_worker(tx: Transaction, id: UUID, now: datetime) -> None:
    """Note that a task worker is still there."""
    tx.run(_UPDATE_WORKER, worker_id=id, seen=now)


def delete_task_worker(tx: Transaction, id: UUID) -> None:
    """Note that a task worker has gone."""
    tx.run(_DELETE_WORKER, worker_id=id)


def delete_task_workers_before(tx: Transaction, before: datetime) -> None:
    """Forget task workers that were seen last before that time: their server has gone with them."""
    tx.run(_DELETE_OLD_WORKERS, before=before)


def select_task_workers(tx: Transaction, since: datetime) -> list[dict[str, Any]]:
    """TaskWorkerResponse of each task worker that was seen since."""
    return [
        {
            "identifier": row.identifier,
            "task_keys": documents.load(row.task_keys),
            "timestamp": row.last_seen,
        }
        for row in tx.rows(_SELECT_WORKERS, since=since)
    ]
