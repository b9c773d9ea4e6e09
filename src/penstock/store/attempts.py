"""Attempts: leases on runs, kept in the run's own row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.sql.elements import literal_column

from penstock.store.statements import Row, Statement
from penstock.store.tables import flow_run
from penstock.store.transaction import Transaction

_RENEW = Statement(
    update(flow_run)
    .where(
        flow_run.c.attempt_id == bindparam("attempt", type_=flow_run.c.attempt_id.type),
        flow_run.c.attempt_expires_at.is_not(None),
    )
    .values(attempt_expires_at=bindparam("until", type_=flow_run.c.attempt_expires_at.type))
    .returning(flow_run.c.id, flow_run.c.state_type, flow_run.c.state_name)
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
