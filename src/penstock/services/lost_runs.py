"""Rescue runs whose attempt was not renewed: they end as CRASHED, never as running for ever."""

from datetime import datetime
from functools import partial

from penstock.core.states import StateType, make_state
from penstock.operations.flow_run_states import propose_state
from penstock.store.attempts import hold_run, select_lost_attempts
from penstock.store.database import Database
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

_MESSAGE = "Lost: whoever executed this run has not renewed its attempt"


async def rescue_lost_runs(db: Database, now: datetime) -> int:
    """End the runs of lost attempts; how many there were."""
    lost = await db.read(partial(select_lost_attempts, now=now))
    ended = 0
    for row in lost:
        ended += await db.write(partial(end_lost_run, lost=row, now=now))
    return ended


def end_lost_run(tx: Transaction, *, lost: Row, now: datetime) -> bool:
    """End one run unless its attempt was renewed or replaced meanwhile."""
    hold_run(tx, lost.id)  # a renewal that was answered shall count
    row = select_flow_run_facts(tx, lost.id)
    if row is None or row.attempt_id != lost.attempt_id or row.attempt_expires_at is None:
        return False
    if row.attempt_expires_at >= now:
        return False
    # A run that was being cancelled has got what was asked of it.
    cancelling = row.state_type == StateType.CANCELLING.value
    kind = StateType.CANCELLED if cancelling else StateType.CRASHED
    # For this very row: one read anew might have ended meanwhile, by somebody else's hand.
    propose_state(tx, row, make_state(kind, now, message=_MESSAGE), now, force=True)
    return True
