"""Runs counted by interval of time and by state, for charts: flow runs and task runs alike."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Table, cast, func, literal, select

from penstock.core.errors import InvalidInput
from penstock.store.column_types import Time
from penstock.store.filters import Condition
from penstock.store.run_times import lateness, moment, run_time, seconds
from penstock.store.transaction import Transaction

#: a chart has no more room, and each interval is an object of the answer
MAX_INTERVALS = 500


def intervals(start: datetime, end: datetime, length: timedelta) -> int:
    """How many intervals there are from start until end.

    InvalidInput when they are too many, or last beyond the calendar.
    """
    loc = ("body", "history_interval_seconds")
    if length < timedelta(seconds=1):
        raise InvalidInput("A history interval lasts a second or longer", loc)
    count = max(0, -((start - end) // length))
    if count > MAX_INTERVALS:
        raise InvalidInput(
            f"That makes {count} intervals, more than {MAX_INTERVALS}: take longer ones", loc
        )
    try:
        start + count * length
    except OverflowError:
        raise InvalidInput("The last interval ends beyond the calendar", loc) from None
    return count


def select_history(
    tx: Transaction,
    run: Table,
    conditions: Sequence[Condition],
    start: datetime,
    end: datetime,
    length: timedelta,
    now: datetime,
) -> list[dict[str, Any]]:
    """HistoryResponse of each interval, by the time runs were expected to start."""
    count = intervals(start, end, length)
    if not count:
        return []
    postgres = tx.is_postgres
    expected = run.c.expected_start_time
    since_start = seconds(expected, moment(start, postgres=postgres), postgres=postgres)
    interval = cast(func.floor(since_start / length.total_seconds()), BigInteger)
    query = (
        select(
            interval.label("interval"),
            run.c.state_type,
            run.c.state_name,
            func.count().label("runs"),
            func.sum(run_time(run, now, postgres=postgres)).label("run_time"),
            func.sum(lateness(run, now, postgres=postgres)).label("late"),
        )
        .where(
            expected >= literal(start, Time),
            expected < literal(start + count * length, Time),
            run.c.state_type.is_not(None),
            *conditions,
        )
        .group_by("interval", run.c.state_type, run.c.state_name)
        .order_by("interval", run.c.state_type, run.c.state_name)
    )
    states: dict[int, list[dict[str, Any]]] = {}
    for row in tx.rows(query):
        shape = {
            "state_type": row.state_type,
            "state_name": row.state_name,
            "count_runs": row.runs,
            "sum_estimated_run_time": float(row.run_time),
            "sum_estimated_lateness": float(row.late),
        }
        states.setdefault(row.interval, []).append(shape)
    return [
        {
            "interval_start": start + i * length,
            "interval_end": start + (i + 1) * length,
            "states": states.get(i, []),
        }
        for i in range(count)
    ]
