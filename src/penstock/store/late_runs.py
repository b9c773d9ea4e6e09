"""Statements about scheduled runs that are overdue."""

from datetime import datetime

from sqlalchemy import bindparam, literal_column, select

from penstock.store.statements import Row, Statement
from penstock.store.tables import flow_run
from penstock.store.transaction import Transaction

_SELECT_LATE = Statement(
    select(flow_run.c.id, flow_run.c.next_scheduled_start_time)
    .where(
        # spelled out, so that SQLite uses the partial index
        literal_column("flow_run.state_name = 'Scheduled'"),
        flow_run.c.state_type == "SCHEDULED",
        flow_run.c.next_scheduled_start_time
        <= bindparam("due_before", type_=flow_run.c.next_scheduled_start_time.type),
    )
    .order_by(flow_run.c.next_scheduled_start_time)
    .limit(bindparam("limit"))
)


def select_late_runs(tx: Transaction, due_before: datetime, limit: int) -> list[Row]:
    """Runs still named Scheduled that were due before that time, the oldest first."""
    return tx.rows(_SELECT_LATE, due_before=due_before, limit=limit)
