"""Statements of polls: which scheduled runs a worker may take now.

A poll that finds nothing is one statement: the pool, its queues, and when the first run of each
is due.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal_column, or_, select

from penstock.contract.enums import WorkQueueStatus
from penstock.core.errors import NotFound
from penstock.store.column_types import Time
from penstock.store.flow_runs import SELECT_FLOW_RUNS, flow_run_shape, shape_of_row
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, flow_run, work_pool, work_queue
from penstock.store.transaction import Transaction
from penstock.store.work_queues import count_slots_of_queues

_due_at = flow_run.c.next_scheduled_start_time
#: the partial index's own condition, spelled out so that SQLite uses it
_SCHEDULED: ColumnElement[bool] = literal_column("flow_run.state_type = 'SCHEDULED'")
#: a run that its own process tries again is nobody else's
_FOR_ANYBODY = or_(flow_run.c.retry_type.is_(None), flow_run.c.retry_type != "in_process")
_HIDDEN = {"workspace_id", "schedule_id", "state_timestamp", "attempt_id", "attempt_expires_at"}

_FIRST_DUE = (
    select(_due_at)
    .where(_SCHEDULED, flow_run.c.work_queue_id == work_queue.c.id, _FOR_ANYBODY)
    .order_by(_due_at)
    .limit(1)
    .correlate(work_queue)
    .scalar_subquery()
)
_SELECT_QUEUES = Statement(
    select(
        work_queue.c.id,
        work_queue.c.name,
        work_queue.c.is_paused,
        work_queue.c.concurrency_limit,
        work_queue.c.status,
        work_queue.c.work_pool_id,
        work_pool.c.is_paused.label("pool_is_paused"),
        work_pool.c.concurrency_limit.label("pool_limit"),
        _FIRST_DUE.label("first_due"),
    )
    .join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .where(work_pool.c.workspace_id == WORKSPACE, work_pool.c.name == bindparam("pool"))
    .order_by(work_queue.c.priority, work_queue.c.id)
)


@dataclass(slots=True)
class FoundRuns:
    """What a poll of a pool's queues found."""

    #: when the poll was made
    at: datetime
    #: WorkerFlowRunResponse each, the most urgent first
    runs: list[dict[str, Any]] = field(default_factory=list)
    #: the polled queues
    queue_ids: list[UUID] = field(default_factory=list)
    #: runs are due, but all slots are taken: the queues whose slots count
    slot_queue_ids: list[UUID] = field(default_factory=list)
    #: polled queues that nobody polled for a while before
    not_ready: list[UUID] = field(default_factory=list)
    #: when the next run is due that is not due yet; None: none is known
    next_at: datetime | None = None
    #: the pool or one of the queues is paused
    is_paused: bool = False


def page_due_runs(
    tx: Transaction,
    pool: str,
    queue_names: Collection[str] | None,
    before: datetime | None,
    after: datetime | None,
    limit: int,
    now: datetime,
) -> FoundRuns:
    """Runs of a pool's queues (none named: all) due between two times, by priority, then time.

    Raises NotFound for an unknown pool or queue. Limits of pool and queues are kept as far as the
    database shows them now; two polls may give the same run.
    """
    queues = tx.rows(_SELECT_QUEUES, pool=pool)
    if not queues:
        raise NotFound(f"There is no work pool {pool!r}")
    polled = _named(queues, queue_names, pool)
    found = FoundRuns(
        now,
        queue_ids=[q.id for q in polled],
        not_ready=[q.id for q in polled if q.status == WorkQueueStatus.NOT_READY.value],
        is_paused=queues[0].pool_is_paused or any(q.is_paused for q in polled),
    )
    if queues[0].pool_is_paused:
        return found
    busy = [q for q in polled if not q.is_paused and q.first_due is not None]
    due = [q for q in busy if before is None or q.first_due <= before]
    later = [q.first_due for q in busy if before is not None and q.first_due > before]
    found.next_at = min(later, default=None)
    if due and limit:
        is_full = _fill(tx, found, due, _free_slots(tx, queues), (before, after, limit, now))
        if is_full:
            found.slot_queue_ids = [q.id for q in queues]
    return found


def _named(queues: list[Row], names: Collection[str] | None, pool: str) -> list[Row]:
    # compat: prefect 3.8.8's worker sends [] for all queues.
    if not names:
        return queues
    wanted = set(names)
    missing = wanted - {q.name for q in queues}
    if missing:
        raise NotFound(f"There is no work queue {min(missing)!r} in work pool {pool!r}")
    return [q for q in queues if q.name in wanted]


@dataclass(slots=True)
class _Slots:
    """How many more runs may start: in the pool, and in each queue; None: any number."""

    pool: int | None
    queues: dict[UUID, int]


def _free_slots(tx: Transaction, queues: list[Row]) -> _Slots:
    pool_limit = queues[0].pool_limit
    # A pool's limit counts the runs of its paused queues not.
    counted = [
        q.id
        for q in queues
        if q.concurrency_limit is not None or (pool_limit is not None and not q.is_paused)
    ]
    used = count_slots_of_queues(tx, counted)
    free = {
        q.id: max(0, q.concurrency_limit - used[q.id])
        for q in queues
        if q.concurrency_limit is not None
    }
    if pool_limit is None:
        return _Slots(None, free)
    in_pool = sum(used[q.id] for q in queues if not q.is_paused)
    return _Slots(max(0, pool_limit - in_pool), free)


def _fill(
    tx: Transaction,
    found: FoundRuns,
    due: list[Row],
    slots: _Slots,
    bounds: tuple[datetime | None, datetime | None, int, datetime],
) -> bool:
    """Add the runs; whether a limit holds some of them back."""
    before, after, limit, now = bounds
    is_full = False
    left = limit if slots.pool is None else min(limit, slots.pool)
    times = {k: v for k, v in (("before", before), ("after", after)) if v is not None}
    statement = _due_in_queue(before is not None, after is not None)
    for queue in due:
        rows = min(left, slots.queues.get(queue.id, left))
        is_full = is_full or rows == 0
        if rows:
            page = tx.rows(statement, queue_id=queue.id, rows=rows, **times)
            found.runs += [_worker_flow_run(r, queue, now) for r in page]
            left -= len(page)
        if left == 0:
            break
    return is_full


#: the columns a worker is shown
_SHOWN = [c for c in flow_run.c if c.name not in _HIDDEN]


@lru_cache(maxsize=4)
def _due_in_queue(bounded: bool, started: bool) -> Statement:
    query = select(*_SHOWN).where(
        _SCHEDULED, flow_run.c.work_queue_id == bindparam("queue_id"), _FOR_ANYBODY
    )
    if bounded:
        query = query.where(_due_at <= bindparam("before", type_=Time))
    if started:
        query = query.where(_due_at >= bindparam("after", type_=Time))
    return Statement(query.order_by(_due_at).limit(bindparam("rows")))


def _worker_flow_run(run: Row, queue: Row, now: datetime) -> dict[str, Any]:
    shape = flow_run_shape(
        run,
        now,
        current_state=None,
        work_queue_name=queue.name,
        work_pool_id=None,
        work_pool_name=None,
    )
    # compat: what a worker gets is the contract's smaller FlowRun
    del shape["work_pool_id"], shape["work_pool_name"]
    return {
        "work_pool_id": queue.work_pool_id,
        "work_queue_id": queue.id,
        "flow_run": shape,
    }


def page_due_runs_of_deployments(
    tx: Transaction,
    deployment_ids: Iterable[UUID],
    before: datetime | None,
    limit: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Scheduled runs of deployments as FlowRunResponse, by time, whatever queue they are in.

    For the process that serves them, which knows by itself which of its own it tries again.
    """
    query = SELECT_FLOW_RUNS.where(
        _SCHEDULED, flow_run.c.deployment_id.in_(list(deployment_ids))
    ).order_by(_due_at, flow_run.c.id)
    if before is not None:
        query = query.where(_due_at <= before)
    return [shape_of_row(r, now) for r in tx.rows(query.limit(limit))]


def page_due_runs_of_queue(
    tx: Transaction, queue: Row, before: datetime | None, limit: int, now: datetime
) -> list[dict[str, Any]]:
    """Runs as FlowRunResponse that a poll of one queue by its id finds, within its limit."""
    if queue.is_paused:
        return []
    if queue.concurrency_limit is not None:
        used = count_slots_of_queues(tx, [queue.id])[queue.id]
        limit = min(limit, max(0, queue.concurrency_limit - used))
    query = SELECT_FLOW_RUNS.where(
        _SCHEDULED, flow_run.c.work_queue_id == queue.id, _FOR_ANYBODY
    ).order_by(_due_at)
    if before is not None:
        query = query.where(_due_at <= before)
    return [shape_of_row(r, now) for r in tx.rows(query.limit(limit))] if limit else []
