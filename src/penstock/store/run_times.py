"""How late runs are and how long they ran, computed by the database: the same for both kinds."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Table, case, extract, literal, type_coerce

from penstock.store.column_types import Time, to_microseconds


def moment(at: datetime, *, postgres: bool) -> ColumnElement[Any]:
    """A time as a value that can be subtracted."""
    return literal(at, Time) if postgres else literal(to_microseconds(at), BigInteger)


def seconds(later: Any, earlier: Any, *, postgres: bool) -> ColumnElement[Any]:
    """The seconds between two times."""
    if postgres:
        return type_coerce(extract("epoch", later - earlier), Float)
    return (type_coerce(later, BigInteger) - type_coerce(earlier, BigInteger)) / 1e6


def lateness(run: Table, now: datetime, *, postgres: bool) -> ColumnElement[Any]:
    """`estimated_start_time_delta` in seconds, as of now."""
    start, expected, end = run.c.start_time, run.c.expected_start_time, run.c.end_time
    at = moment(now, postgres=postgres)
    waiting = start.is_(None) & end.is_(None)
    return case(
        (start > expected, seconds(start, expected, postgres=postgres)),
        (waiting & (expected < literal(now, Time)), seconds(at, expected, postgres=postgres)),
        else_=literal(0.0),
    )


def run_time(run: Table, now: datetime, *, postgres: bool) -> ColumnElement[Any]:
    """`estimated_run_time` in seconds, as of now."""
    since = run.c.state_timestamp
    running = (run.c.state_type == "RUNNING") & (since < literal(now, Time))
    at = moment(now, postgres=postgres)
    stay = case((running, seconds(at, since, postgres=postgres)), else_=literal(0.0))
    return run.c.total_run_time + stay
