"""Reading task runs: one, lists, counts, and rows -> shape. Recording them: `task_runs`."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, and_, bindparam, cast, exists, func, literal, select

from penstock.contract.enums import TaskRunSort
from penstock.core import documents
from penstock.store.column_types import Time
from penstock.store.filter_scopes import Scope, task_run_conditions
from penstock.store.flow_runs import run_times
from penstock.store.run_times import moment, seconds
from penstock.store.statements import Row, Statement
from penstock.store.states import state_shape
from penstock.store.tables import flow_run, state, task_run
from penstock.store.transaction import Transaction

_RUN = task_run.c
_KEYS: dict[TaskRunSort, list[Any]] = {
    TaskRunSort.ID_DESC: [_RUN.id.desc()],
    TaskRunSort.EXPECTED_START_TIME_ASC: [_RUN.expected_start_time.asc(), _RUN.id.asc()],
    TaskRunSort.EXPECTED_START_TIME_DESC: [_RUN.expected_start_time.desc(), _RUN.id.desc()],
    TaskRunSort.NAME_ASC: [_RUN.name.asc(), _RUN.id.asc()],
    TaskRunSort.NAME_DESC: [_RUN.name.desc(), _RUN.id.desc()],
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: [
        _RUN.next_scheduled_start_time.asc().nulls_last(),
        _RUN.id.asc(),
    ],
    TaskRunSort.END_TIME_DESC: [_RUN.end_time.desc().nulls_last(), _RUN.id.desc()],
}
#: bars of a chart
OUTCOMES = 20
_OUTCOMES = {"COMPLETED": "completed", "FAILED": "failed", "CRASHED": "failed"}
#: every key of `empirical_policy` on the wire, with what it is when it was not said
_POLICY: dict[str, Any] = {
    "max_retries": 0,
    "retry_delay_seconds": 0.0,
    "retries": None,
    "retry_delay": None,
    "retry_jitter_factor": None,
}

#: a task run with its current state and the name of its flow run
SELECT_TASK_RUNS: Select[Any] = (
    select(
        task_run,
        state.c.message.label("state_message"),
        state.c.data.label("state_data"),
        state.c.state_details,
        flow_run.c.name.label("flow_run_name"),
    )
    .select_from(task_run)
    .outerjoin(
        state,
        and_(
            # its history stands with its flow run's; without one, under its own id
            state.c.run_id == func.coalesce(_RUN.flow_run_id, _RUN.id, type_=_RUN.id.type),
            state.c.id == _RUN.state_id,
        ),
    )
    .outerjoin(flow_run, flow_run.c.id == _RUN.flow_run_id)
)
_SELECT = Statement(SELECT_TASK_RUNS.where(_RUN.id == bindparam("id")))


def task_run_shape(row: Row, now: datetime) -> dict[str, Any]:
    """TaskRun for a row of SELECT_TASK_RUNS."""
    current = None
    if row.state_id is not None and row.state_details is not None:
        current = state_shape(
            id=row.state_id,
            type=row.state_type,
            name=row.state_name,
            timestamp=row.state_timestamp,
            message=row.state_message,
            data=row.state_data,
            details=documents.load(row.state_details),
            run_id=row.flow_run_id,
            task_run_id=row.id,
        )
    estimated_run_time, delta = run_times(row, now)
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "flow_run_id": row.flow_run_id,
        "task_key": row.task_key,
        "dynamic_key": row.dynamic_key,
        "cache_key": row.cache_key,
        "cache_expiration": row.cache_expiration,
        "task_version": row.task_version,
        "empirical_policy": _POLICY | documents.load(row.empirical_policy),
        "tags": documents.Fragment(row.tags),
        "labels": documents.Fragment(row.labels),
        "state_id": row.state_id,
        "task_inputs": documents.Fragment(row.task_inputs),
        "state_type": row.state_type,
        "state_name": row.state_name,
        "run_count": row.run_count,
        "flow_run_run_count": row.flow_run_run_count,
        "expected_start_time": row.expected_start_time,
        "next_scheduled_start_time": row.next_scheduled_start_time,
        "start_time": row.start_time,
        "end_time": row.end_time,
        "total_run_time": row.total_run_time,
        "estimated_run_time": estimated_run_time,
        "estimated_start_time_delta": delta,
        "state": current,
    }


def select_task_run(
    tx: Transaction, id: UUID, now: datetime, *, named: bool = False
) -> dict[str, Any] | None:
    """One task run, with its flow run's name when `named`; None when there is none of this id."""
    row = tx.row(_SELECT, id=id)
    if row is None:
        return None
    shape = task_run_shape(row, now)
    return shape | {"flow_run_name": row.flow_run_name} if named else shape


def page_task_runs(
    tx: Transaction, scope: Scope, sort: TaskRunSort, limit: int, offset: int, now: datetime
) -> list[dict[str, Any]]:
    """One page of the task runs in that scope."""
    if limit == 0:
        return []
    ids = select(_RUN.id).where(*task_run_conditions(scope)).order_by(*_KEYS[sort])
    page = ids.limit(limit).offset(offset).correlate(None)
    query = SELECT_TASK_RUNS.where(_RUN.id.in_(page)).order_by(*_KEYS[sort])
    return [task_run_shape(row, now) for row in tx.rows(query)]


def count_task_runs(tx: Transaction, scope: Scope) -> int:
    """How many task runs are in that scope."""
    query = select(func.count().label("runs")).select_from(task_run)
    return int(tx.value(query.where(*task_run_conditions(scope))))


def count_task_runs_by_state(tx: Transaction, scope: Scope) -> dict[str, int]:
    """How many task runs of that scope are in a state of each type."""
    query = select(_RUN.state_type, func.count().label("runs")).where(
        _RUN.state_type.is_not(None), *task_run_conditions(scope)
    )
    return {row.state_type: row.runs for row in tx.rows(query.group_by(_RUN.state_type))}


def count_task_run_outcomes(
    tx: Transaction, scope: Scope, start: datetime, end: datetime
) -> list[dict[str, int]]:
    """How many task runs have completed and failed, by when they started: OUTCOMES intervals."""
    counts = [{"completed": 0, "failed": 0} for _ in range(OUTCOMES)]
    length = (end - start) / OUTCOMES
    if length <= timedelta(0):
        return counts
    postgres = tx.is_postgres
    since = seconds(_RUN.start_time, moment(start, postgres=postgres), postgres=postgres)
    interval = cast(func.floor(since / length.total_seconds()), BigInteger)
    query = (
        select(interval.label("interval"), _RUN.state_type, func.count().label("runs"))
        .where(
            _RUN.start_time >= literal(start, Time),
            _RUN.start_time <= literal(end, Time),
            _RUN.state_type.in_(list(_OUTCOMES)),
            *task_run_conditions(scope),
        )
        .group_by("interval", _RUN.state_type)
    )
    for row in tx.rows(query):
        counts[min(row.interval, OUTCOMES - 1)][_OUTCOMES[row.state_type]] += row.runs
    return counts


def count_task_runs_of_flow_runs(tx: Transaction, ids: list[UUID]) -> dict[UUID, int]:
    """How many task runs each of these flow runs has, but for those that stand for subflows."""
    stands_for_subflow = exists().where(flow_run.c.parent_task_run_id == _RUN.id)
    query = select(_RUN.flow_run_id, func.count().label("runs")).where(
        _RUN.flow_run_id.in_(ids), ~stands_for_subflow
    )
    found = {row.flow_run_id: row.runs for row in tx.rows(query.group_by(_RUN.flow_run_id))}
    return {id: found.get(id, 0) for id in ids}
