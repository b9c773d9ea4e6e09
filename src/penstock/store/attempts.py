"""Attempts: leases on runs, kept in the run's own row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, literal_column, or_, select, update

from penstock.store.column_types import Id
from penstock.store.statements import Row, Statement
from penstock.store.tables import flow_run
from penstock.store.transaction import Transaction

#: the lease by which a run holds a slot of its deployment; a flow may hold others by itself
# As text: SQLAlchemy leaves the tables' names out of what SQLite returns, here columns need them.
_LEASE_ID: ColumnElement[UUID] = literal_column(
    "(SELECT concurrency_lease.id FROM concurrency_lease"
    " JOIN concurrency_slot ON concurrency_slot.lease_id = concurrency_lease.id"
    " JOIN deployment ON deployment.concurrency_limit_id = concurrency_slot.limit_id"
    " WHERE concurrency_lease.holder_id = flow_run.id AND deployment.id = flow_run.deployment_id"
    " AND concurrency_lease.holder_type = 'flow_run' LIMIT 1)",
    type_=Id,
)
_RENEW = Statement(
    update(flow_run)
    .where(
        flow_run.c.attempt_id == bindparam("attempt", type_=flow_run.c.attempt_id.type),
        flow_run.c.attempt_expires_at.is_not(None),
    )
    .values(attempt_expires_at=bindparam("until", type_=flow_run.c.attempt_expires_at.type))
    .returning(
        flow_run.c.id,
        flow_run.c.state_type,
        flow_run.c.state_name,
        _LEASE_ID.label("lease_id"),
    )
)
_EXPIRES_AT = flow_run.c.attempt_expires_at


def _lost(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(
        select(flow_run.c.id, flow_run.c.state_type, flow_run.c.attempt_id, flow_run.c.labels)
        .where(
            literal_column("flow_run.attempt_expires_at IS NOT NULL"),
            bindparam("now", type_=_EXPIRES_AT.type) > _EXPIRES_AT,
            *conditions,
        )
        .order_by(_EXPIRES_AT)
        .limit(200)
    )


_SELECT_LOST = _lost(flow_run.c.attempt_id.is_not(None))
_SELECT_SILENT = _lost(flow_run.c.attempt_id.is_(None))
_IS_EXECUTED: ColumnElement[bool] = literal_column(
    "flow_run.state_type IN ('RUNNING', 'CANCELLING')"
)
_FIRST = bindparam("first", type_=_EXPIRES_AT.type)
_NEXT = bindparam("next", type_=_EXPIRES_AT.type)
# A run that has ended, or waits for a worker, is not alive because an old heartbeat comes late.
# Who hears of the first one does not know yet how far apart they are.
_HEAR = Statement(
    update(flow_run)
    .where(
        flow_run.c.id == bindparam("run_id", type_=flow_run.c.id.type),
        flow_run.c.attempt_id.is_(None),
        or_(_IS_EXECUTED, _EXPIRES_AT.is_not(None)),
    )
    .values(
        attempt_expires_at=case(
            (_EXPIRES_AT.is_(None), _FIRST), (_EXPIRES_AT < _NEXT, _NEXT), else_=_EXPIRES_AT
        )
    )
)


# SQLite, with its one writer, leaves FOR UPDATE out.
_HOLD_RUN = Statement(
    select(flow_run.c.id)
    .where(flow_run.c.id == bindparam("run_id", type_=flow_run.c.id.type))
    .with_for_update()
)


def hold_run(tx: Transaction, run_id: UUID) -> None:
    """Have renewals of the run's attempt wait until this transaction has ended."""
    tx.rows(_HOLD_RUN, run_id=run_id)


def renew_attempt(tx: Transaction, attempt: UUID, until: datetime) -> Row | None:
    """The run whose attempt now lasts until then; None when the attempt is over."""
    row: Any = tx.row(_RENEW, attempt=attempt, until=until)
    return row


def select_lost_attempts(tx: Transaction, now: datetime) -> list[Row]:
    """Runs whose attempt has run out, the longest lost first."""
    return tx.rows(_SELECT_LOST, now=now)


def hear_heartbeat(tx: Transaction, run_id: UUID, first: datetime, next: datetime) -> None:
    """Watch a run that has no attempt: until `first` when it was not watched, else until `next`.

    Never for less time than before.
    """
    tx.run(_HEAR, run_id=run_id, first=first, next=next)


def select_silent_runs(tx: Transaction, now: datetime) -> list[Row]:
    """Runs without an attempt whose heartbeats have ended, the longest silent first."""
    return tx.rows(_SELECT_SILENT, now=now)
