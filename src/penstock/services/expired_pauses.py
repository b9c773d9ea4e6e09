"""Fail paused runs that nobody has resumed in time."""

from datetime import datetime
from functools import partial

from penstock.core.states import StateType, make_state
from penstock.operations.flow_run_states import propose_state
from penstock.services.chunks import write_in_chunks
from penstock.store.database import Database
from penstock.store.expired_pauses import select_expired_pauses
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

#: runs per pass, and per unit of work
PASS = 400
CHUNK = 50
_MESSAGE = "The run was paused and not resumed in time"


async def fail_expired_pauses(db: Database, now: datetime) -> int:
    """Fail up to 400 runs whose pause has timed out; how many."""
    expired = await db.read(partial(select_expired_pauses, now=now, limit=PASS))
    await write_in_chunks(db, partial(fail_runs, now=now), expired, CHUNK)
    return len(expired)


def fail_runs(tx: Transaction, rows: list[Row], now: datetime) -> None:
    """Fail these runs, unless they have left their pause meanwhile."""
    for expired in rows:
        row = select_flow_run_facts(tx, expired.id)
        if row is not None and row.state_id == expired.state_id:
            propose_state(
                tx, row, make_state(StateType.FAILED, now, message=_MESSAGE), now, force=True
            )
