"""Statements of workers, and rows <-> shape."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, bindparam, delete, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from penstock.contract.enums import WorkerStatus
from penstock.contract.rest import filters as wire
from penstock.core.ids import new_id
from penstock.store.column_types import Time
from penstock.store.filters import Condition, joined
from penstock.store.statements import Row, Statement
from penstock.store.tables import worker
from penstock.store.transaction import Transaction

#: seconds between the heartbeats of a worker that does not say
DEFAULT_INTERVAL = 30
#: intervals without a heartbeat after which a worker counts as gone
MISSED = 3


class online_until(FunctionElement[datetime]):
    """Until when a worker's last heartbeat makes it count as online."""

    type = Time()
    inherit_cache = True


# How to add seconds to a time differs: microseconds are integers on SQLite.
@compiles(online_until, "sqlite")
def _online_until_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    last, interval = (compiler.process(c, **options) for c in element.clauses)
    return f"({last} + {MISSED}000000 * coalesce({interval}, {DEFAULT_INTERVAL}))"


@compiles(online_until, "postgresql")
def _online_until_postgres(element: Any, compiler: Any, **options: Any) -> str:
    last, interval = (compiler.process(c, **options) for c in element.clauses)
    return f"({last} + make_interval(secs => {MISSED} * coalesce({interval}, {DEFAULT_INTERVAL})))"


def is_online(table: Table, now: datetime) -> Condition:
    """Whether a worker has sent a heartbeat lately."""
    until = online_until(table.c.last_heartbeat_time, table.c.heartbeat_interval_seconds)
    return until >= literal(now, Time)


_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in worker.c}
_RENEWED = ("updated", "last_heartbeat_time", "heartbeat_interval_seconds")


def _upsert(insert: Any) -> Statement:
    row = insert(worker).values(_BINDS)
    return Statement(
        row.on_conflict_do_update(
            index_elements=[worker.c.work_pool_id, worker.c.name, worker.c.agent_key],
            set_={name: row.excluded[name] for name in _RENEWED},
        )
    )


_UPSERT = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}
_DELETE = Statement(
    delete(worker).where(
        worker.c.work_pool_id == bindparam("pool_id"), worker.c.name == bindparam("name")
    )
)


def worker_shape(row: Row, now: datetime) -> dict[str, Any]:
    """WorkerResponse for a row of the table, as of now."""
    interval = row.heartbeat_interval_seconds
    silent = now - row.last_heartbeat_time
    online = silent <= timedelta(seconds=MISSED * (interval or DEFAULT_INTERVAL))
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "work_pool_id": row.work_pool_id,
        "last_heartbeat_time": row.last_heartbeat_time,
        "heartbeat_interval_seconds": None if interval is None else int(interval),
        "status": (WorkerStatus.ONLINE if online else WorkerStatus.OFFLINE).value,
    }


def upsert_worker(
    tx: Transaction, pool_id: UUID, name: str, interval_seconds: float | None, now: datetime
) -> None:
    """Note a worker's heartbeat; make the worker when it is new."""
    tx.run(
        _UPSERT[tx.dialect.name],
        id=new_id(now),
        created=now,
        updated=now,
        work_pool_id=pool_id,
        name=name,
        agent_key="",
        last_heartbeat_time=now,
        heartbeat_interval_seconds=interval_seconds,
    )


def delete_worker(tx: Transaction, pool_id: UUID, name: str) -> bool:
    """Forget a worker; False when the pool has none of this name."""
    return bool(tx.run(_DELETE, pool_id=pool_id, name=name))


def select_has_worker_online(tx: Transaction, pool_id: UUID, now: datetime) -> bool:
    """Whether one of the pool's workers is online."""
    query = select(worker.c.id).where(worker.c.work_pool_id == pool_id, is_online(worker, now))
    return tx.value(query.limit(1)) is not None


def worker_condition(filter: wire.WorkerFilter | None, now: datetime) -> Condition | None:
    """Which workers."""
    if filter is None:
        return None
    conditions: list[Condition | None] = []
    heartbeat, status = filter.last_heartbeat_time, filter.status
    if heartbeat is not None:
        last = worker.c.last_heartbeat_time
        conditions.append(None if heartbeat.before_ is None else last <= heartbeat.before_)
        conditions.append(None if heartbeat.after_ is None else last >= heartbeat.after_)
    if status is not None:
        conditions.append(None if status.any_ is None else _has_status(status.any_, now))
        conditions.append(None if status.not_any_ is None else ~_has_status(status.not_any_, now))
    return joined(filter, conditions)


def _has_status(statuses: list[WorkerStatus], now: datetime) -> Condition:
    # every worker is in one of two statuses
    yes, no = WorkerStatus.ONLINE in statuses, WorkerStatus.OFFLINE in statuses
    if yes is no:
        return literal(yes) == literal(True)
    return is_online(worker, now) if yes else ~is_online(worker, now)


def page_workers(
    tx: Transaction,
    pool_id: UUID,
    filter: wire.WorkerFilter | None,
    limit: int,
    offset: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """One page of a pool's workers that match, the last heard of first."""
    query = (
        select(worker)
        .where(worker.c.work_pool_id == pool_id)
        .order_by(worker.c.last_heartbeat_time.desc(), worker.c.id)
        .limit(limit)
        .offset(offset)
    )
    condition = worker_condition(filter, now)
    if condition is not None:
        query = query.where(condition)
    return [worker_shape(r, now) for r in tx.rows(query)]
