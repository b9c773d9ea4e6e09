"""Which background loops have something to do: one statement for all of them.

A question may say yes too often, never no too often: the loops look for themselves.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, literal_column, or_, select

from penstock.store.column_types import Time
from penstock.store.statements import Statement
from penstock.store.tables import (
    concurrency_lease,
    deployment,
    deployment_schedule,
    flow_run,
    flow_run_change,
)
from penstock.store.transaction import Transaction

_NOW = bindparam("now", type_=Time)
_LATE_BEFORE = bindparam("late_before", type_=Time)
_CANCELLED_SINCE = bindparam("cancelled_since", type_=Time)
_REPLENISH_AT = deployment_schedule.c.replenish_at
_RUN = flow_run.c


def _of_runs(known: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    # As text: a parameter would keep SQLite from using a partial index.
    return select(_RUN.id).where(literal_column(f"flow_run.{known}"), *conditions)


#: by the name of the loop
_QUESTIONS: list[tuple[str, Select[Any]]] = [
    (
        "scheduler",
        select(deployment_schedule.c.id)
        .join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)
        .where(
            deployment_schedule.c.active,
            ~deployment.c.paused,
            or_(_REPLENISH_AT.is_(None), _REPLENISH_AT <= _NOW),
        ),
    ),
    (
        "late runs",
        _of_runs("state_name = 'Scheduled'", _RUN.next_scheduled_start_time <= _LATE_BEFORE),
    ),
    ("expired pauses", _of_runs("state_type = 'PAUSED'")),
    ("cancellations", _of_runs("state_type = 'CANCELLING'")),
    ("cancellations", _of_runs("state_type = 'CANCELLED'", _RUN.end_time >= _CANCELLED_SINCE)),
    ("lost runs", _of_runs("attempt_expires_at IS NOT NULL", _RUN.attempt_expires_at <= _NOW)),
    ("silent runs", _of_runs("attempt_expires_at IS NOT NULL", _RUN.attempt_expires_at <= _NOW)),
    (
        "repossessor",
        select(concurrency_lease.c.id).where(
            concurrency_lease.c.expires_at.is_not(None), concurrency_lease.c.expires_at <= _NOW
        ),
    ),
    ("run counts", select(flow_run_change.c.runs)),
]
WATCHED = frozenset(name for name, _ in _QUESTIONS)
_SELECT_DUE = Statement(
    select(*[exists(query).label(f"q{n}") for n, (_, query) in enumerate(_QUESTIONS)])
)


def select_due_work(
    tx: Transaction, now: datetime, *, late_after: timedelta, recent: timedelta
) -> set[str]:
    """The names of those of the WATCHED loops that may have something to do.

    `late_after`: how long after its time a run is late; `recent`: how long after its end a
    cancelled run is looked after.
    """
    answers = tx.row(
        _SELECT_DUE, now=now, late_before=now - late_after, cancelled_since=now - recent
    )
    assert answers is not None
    return {name for (name, _), due in zip(_QUESTIONS, answers, strict=True) if due}
