"""Lists, counts and averages of flow runs. One run, and writing runs: `flow_runs`."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from penstock.contract.enums import FlowRunSort, StateType
from penstock.store.filter_scopes import PRIMARY_KEY, Scope, Start, flow_run_conditions, starts_of
from penstock.store.filters import Condition
from penstock.store.flow_run_counts import countable, sum_counts
from penstock.store.flow_runs import SELECT_FLOW_RUNS, run_times, shape_of_row
from penstock.store.run_times import lateness
from penstock.store.tables import flow_run
from penstock.store.transaction import Transaction

#: Up to so many rows it is quicker to collect and sort them (about 3 us each) than to walk the list
#: in order until a page is full.
FEW = 5_000

_RUN = flow_run.c
_STARTED_OR_EXPECTED = func.coalesce(_RUN.start_time, _RUN.expected_start_time)
_KEYS: dict[FlowRunSort, list[Any]] = {
    FlowRunSort.ID_DESC: [_RUN.id.desc()],
    FlowRunSort.START_TIME_ASC: [_STARTED_OR_EXPECTED.asc(), _RUN.id.asc()],
    FlowRunSort.START_TIME_DESC: [_STARTED_OR_EXPECTED.desc(), _RUN.id.desc()],
    FlowRunSort.EXPECTED_START_TIME_ASC: [_RUN.expected_start_time.asc(), _RUN.id.asc()],
    FlowRunSort.EXPECTED_START_TIME_DESC: [_RUN.expected_start_time.desc(), _RUN.id.desc()],
    FlowRunSort.NAME_ASC: [_RUN.name.asc(), _RUN.id.asc()],
    FlowRunSort.NAME_DESC: [_RUN.name.desc(), _RUN.id.desc()],
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: [
        _RUN.next_scheduled_start_time.asc().nulls_last(),
        _RUN.id.asc(),
    ],
    FlowRunSort.END_TIME_DESC: [_RUN.end_time.desc().nulls_last(), _RUN.id.desc()],
}
_BY_EXPECTED_TIME = (FlowRunSort.EXPECTED_START_TIME_ASC, FlowRunSort.EXPECTED_START_TIME_DESC)
#: indexes that have the whole list in order
_ORDERED_BY = {
    FlowRunSort.ID_DESC: PRIMARY_KEY,
    **dict.fromkeys(_BY_EXPECTED_TIME, "ix_flow_run_expected_start_time"),
}
#: states in which a run may not have started yet
_NOT_STARTED = (StateType.SCHEDULED, StateType.PENDING, StateType.PAUSED, StateType.CANCELLING)
_BY_STATE = {
    "ix_flow_run_state_type",
    "ix_flow_run_unusual_name",
    "ix_flow_run_deployment_id",
    "ix_flow_run_flow_id",
}


def page_flow_runs(
    tx: Transaction, scope: Scope, sort: FlowRunSort, limit: int, offset: int, now: datetime
) -> list[dict[str, Any]]:
    """One page of the runs in that scope, as FlowRunResponse."""
    if limit == 0:
        return []
    ids = _page_of_ids(tx, scope, sort, limit, offset)
    query = SELECT_FLOW_RUNS.where(_RUN.id.in_(ids)).order_by(*_KEYS[sort])
    return [shape_of_row(row, now) for row in tx.rows(query)]


def select_flow_run_ids(tx: Transaction, scope: Scope, limit: int) -> list[Any]:
    """Ids of the first runs in that scope, newest first."""
    return [row.id for row in tx.rows(_page_of_ids(tx, scope, FlowRunSort.ID_DESC, limit, 0))]


def count_flow_runs(tx: Transaction, scope: Scope) -> int:
    """How many runs are in that scope."""
    alone = all(part is None for part in scope._replace(flow_runs=None))
    counted = countable(scope.flow_runs) if alone else None
    if counted is None:
        return _count(tx, scope)
    return sum_counts(tx, counted) + sum(
        _count(tx, scope._replace(flow_runs=rest)) for rest in counted.rest
    )


def _count(tx: Transaction, scope: Scope) -> int:
    query = select(func.count().label("runs")).select_from(flow_run)
    return int(tx.value(query.where(*_collected(tx, scope))))


def average_lateness(tx: Transaction, scope: Scope, now: datetime) -> float | None:
    """How many seconds late the runs in that scope are on average; None without any."""
    late = func.avg(lateness(flow_run, now, postgres=tx.is_postgres)).label("late")
    value = tx.value(select(late).where(*_collected(tx, scope)))
    return None if value is None else float(value)


def _collected(tx: Transaction, scope: Scope) -> list[Condition]:
    """Conditions for looking at all runs of a scope: SQLite collects those of a tag by itself
    only when asked to."""
    conditions = flow_run_conditions(scope)
    if not tx.is_postgres:
        conditions += [s.condition for s in starts_of(scope) if s.by == PRIMARY_KEY]
    return conditions


# ------------------------------------------------------------------ the ids of one page


def _page_of_ids(
    tx: Transaction, scope: Scope, sort: FlowRunSort, limit: int, offset: int
) -> Select[Any]:
    conditions = flow_run_conditions(scope)
    # SQLite keeps no statistics that tell a common state from a rare one; PostgreSQL does.
    start = None if tx.is_postgres else _short_start(tx, starts_of(scope), sort)
    if start is not None:
        query = _sorted(select(_RUN.id).where(*conditions, start.condition), sort)
        query = query.with_hint(flow_run, f"INDEXED BY {start.by}", "sqlite")
    elif sort in (FlowRunSort.START_TIME_ASC, FlowRunSort.START_TIME_DESC):
        ascending = sort is FlowRunSort.START_TIME_ASC
        page = _by_start_time(conditions, offset + limit, ascending=ascending)
        return _ids_of(page.limit(limit).offset(offset))
    elif sort is FlowRunSort.END_TIME_DESC:
        page = _by_end_time(conditions, offset + limit)
        return _ids_of(page.limit(limit).offset(offset))
    else:
        query = _sorted(select(_RUN.id).where(*conditions), sort)
        if sort in _ORDERED_BY:
            query = query.with_hint(flow_run, f"INDEXED BY {_ORDERED_BY[sort]}", "sqlite")
    return query.limit(limit).offset(offset).correlate(None)


def _sorted(query: Select[Any], sort: FlowRunSort) -> Select[Any]:
    return query.order_by(*_KEYS[sort])


def _short_start(tx: Transaction, starts: list[Start], sort: FlowRunSort) -> Start | None:
    """A way into the list that is shorter than walking it in order; None when none is."""
    for start in starts:
        if start.rows is None:
            return start
    for start in starts:
        assert start.rows is not None
        few = start.rows.limit(FEW + 1).subquery()
        if tx.value(select(func.count().label("rows")).select_from(few)) <= FEW:
            return start
    if sort in _BY_EXPECTED_TIME:
        for start in starts:
            # One value of such an index has its runs in this very order.
            if start.by in _BY_STATE and start.single:
                return start
    return None


def _ids_of(page: CompoundSelect[Any]) -> Select[Any]:
    return select(page.subquery("page").c.id).correlate(None)


def _part(
    at: Any, conditions: list[Condition], index: str, rows: int, *, ascending: bool
) -> Select[Any]:
    """The first rows of a part of a list, from an index that has the part in order."""
    id = _RUN.id
    keys = [at.asc(), id.asc()] if ascending else [at.desc(), id.desc()]
    part = select(id, at.label("at")).where(*conditions).order_by(*keys).limit(rows)
    # Without a limit of its own PostgreSQL would read and sort the whole part.
    return select(part.with_hint(flow_run, f"INDEXED BY {index}", "sqlite").subquery())


def _by_start_time(
    conditions: list[Condition], rows: int, *, ascending: bool
) -> CompoundSelect[Any]:
    """Runs by start time, those that have not started by the time they are expected to."""
    start = _RUN.start_time
    started = [start.is_not(None), *conditions]
    parts = [_part(start, started, "ix_flow_run_start_time", rows, ascending=ascending)]
    for type in _NOT_STARTED:
        waiting = [_RUN.state_type == type.value, start.is_(None), *conditions]
        at = _RUN.expected_start_time
        parts.append(_part(at, waiting, "ix_flow_run_state_type", rows, ascending=ascending))
    union = union_all(*parts)
    keys = union.selected_columns
    if ascending:
        return union.order_by(keys.at.asc(), keys.id.asc())
    return union.order_by(keys.at.desc(), keys.id.desc())


def _by_end_time(conditions: list[Condition], rows: int) -> CompoundSelect[Any]:
    """Runs by end time, latest first, those that have not ended last."""
    end = _RUN.end_time
    ended = [end.is_not(None), *conditions]
    others = select(_RUN.id, end.label("at")).where(end.is_(None), *conditions)
    union = union_all(
        _part(end, ended, "ix_flow_run_end_time", rows, ascending=False),
        select(others.order_by(_RUN.id.desc()).limit(rows).subquery()),
    )
    keys = union.selected_columns
    return union.order_by(keys.at.desc().nulls_last(), keys.id.desc())


# ------------------------------------------------------------------ charts

_SELECT_DOTS = select(
    _RUN.id,
    _RUN.state_type,
    _RUN.state_timestamp,
    _RUN.start_time,
    _RUN.end_time,
    _RUN.expected_start_time,
    _RUN.total_run_time,
)


def select_flow_run_dots(
    tx: Transaction, scope: Scope, sort: FlowRunSort, limit: int, offset: int, now: datetime
) -> list[dict[str, Any]]:
    """SimpleFlowRun for each run of one page: when, how long (seconds), how late (seconds)."""
    if limit == 0:
        return []
    ids = _page_of_ids(tx, scope, sort, limit, offset)
    dots = []
    for row in tx.rows(_SELECT_DOTS.where(_RUN.id.in_(ids)).order_by(*_KEYS[sort])):
        duration, late = run_times(row, now)
        dot = {
            "id": row.id,
            "state_type": row.state_type,
            "timestamp": row.start_time or row.expected_start_time,
            "duration": duration,
            "lateness": late,
        }
        dots.append(dot)
    return dots
