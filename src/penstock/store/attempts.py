"""Attempts: leases on runs, kept in the run's own row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal_column, select, update

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
_SELECT_LOST = Statement(
    select(flow_run.c.id, flow_run.c.state_type, flow_run.c.attempt_id, flow_run.c.labels)
    .where(
        literal_column("flow_run.attempt_expires_at IS NOT NULL"),
        flow_run.c.attempt_expires_at < bindparam("now", type_=flow_run.c.attempt_expires_at.type),
    )
    .order_by(flow_run.c.attempt_expires_at)
    .limit(200)
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
