"""Statements about paused runs that nobody has resumed in time."""

from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, literal_column, select

from penstock.store.statements import Row, Statement
from penstock.store.tables import flow_run, state
from penstock.store.transaction import Transaction

#: the time of a pause's end, in the text of the state's details; it is always UTC
_TIMEOUT = {
    "sqlite": "json_extract(state.state_details, '$.pause_timeout')",
    "postgresql": "(CAST(state.state_details AS json) ->> 'pause_timeout')",
}


def _select_expired(timeout: str) -> Statement:
    # Only to the second: fractions are written, or not, as they were sent.
    until: ColumnElement[str] = literal_column(f"substr({timeout}, 1, 19)")
    return Statement(
        select(flow_run.c.id, flow_run.c.state_id)
        .select_from(flow_run)
        .join(state, (state.c.run_id == flow_run.c.id) & (state.c.id == flow_run.c.state_id))
        .where(flow_run.c.state_type == "PAUSED", until < bindparam("now"))
        .order_by(until)
        .limit(bindparam("limit"))
    )


_SELECT_EXPIRED = {name: _select_expired(timeout) for name, timeout in _TIMEOUT.items()}


def select_expired_pauses(tx: Transaction, now: datetime, limit: int) -> list[Row]:
    """Paused runs whose time is over, with the state they were in; the longest over first."""
    text = now.strftime("%Y-%m-%dT%H:%M:%S")
    return tx.rows(_SELECT_EXPIRED[tx.dialect.name], now=text, limit=limit)
