"""Rescue runs whose attempt was not renewed: they end as CRASHED or are executed again, as their
labels say; never are they running for ever.
"""

import logging
from datetime import datetime
from functools import partial

from penstock.core import documents
from penstock.core.attempts import count_losses, may_be_rescheduled, state_after_loss
from penstock.core.errors import OutcomeUnknown, Unavailable
from penstock.core.states import StateType
from penstock.operations.flow_run_states import propose_state
from penstock.store.attempts import hold_run, select_lost_attempts, select_silent_runs
from penstock.store.database import Database
from penstock.store.flow_runs import select_flow_run_facts, update_flow_run
from penstock.store.statements import Row
from penstock.store.states import select_flow_run_states
from penstock.store.transaction import Transaction

logger = logging.getLogger(__name__)

#: a run that is executed again begins anew, its pauses too
_ANEW = {"pause_keys": None, "resuming": False}


async def rescue_lost_runs(db: Database, now: datetime) -> int:
    """End or reschedule the runs of lost attempts; how many there were."""
    return await _end(db, await db.read(partial(select_lost_attempts, now=now)), now)


async def rescue_silent_runs(db: Database, now: datetime) -> int:
    """The same for runs of clients that have no attempts and whose heartbeats have ended."""
    return await _end(db, await db.read(partial(select_silent_runs, now=now)), now)


async def _end(db: Database, lost: list[Row], now: datetime) -> int:
    ended = 0
    for row in lost:
        try:
            ended += await db.write(partial(end_lost_run, lost=row, now=now))
        except (Unavailable, OutcomeUnknown):
            raise
        except Exception:  # the others must not be running for ever
            logger.exception("The lost run %s could not be ended", row.id)
    return ended


def end_lost_run(tx: Transaction, *, lost: Row, now: datetime) -> bool:
    """End or reschedule one run unless its attempt was renewed or replaced meanwhile."""
    hold_run(tx, lost.id)  # a renewal that was answered shall count
    row = select_flow_run_facts(tx, lost.id)
    if row is None or row.attempt_id != lost.attempt_id or row.attempt_expires_at is None:
        return False
    if row.attempt_expires_at >= now:
        return False
    labels = documents.load(lost.labels)
    again = may_be_rescheduled(labels, row.deployment_id)
    losses = _losses(tx, lost) if again else None
    state = state_after_loss(
        StateType(row.state_type), labels, losses, now, silent=row.attempt_id is None
    )
    # For this very row: one read anew might have ended meanwhile, by somebody else's hand.
    propose_state(tx, row, state, now, force=True)
    if state.type is StateType.SCHEDULED:
        update_flow_run(tx, row.id, _ANEW)
    return True


def _losses(tx: Transaction, lost: Row) -> int:
    return count_losses((s["type"], s["name"]) for s in select_flow_run_states(tx, lost.id))
