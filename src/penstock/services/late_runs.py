"""Mark scheduled runs that nobody has taken as Late."""

from datetime import datetime, timedelta
from functools import partial

from penstock.core.states import StateType, make_state
from penstock.operations.flow_run_states import propose_state
from penstock.services.chunks import write_in_chunks
from penstock.store.database import Database
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.late_runs import select_late_runs
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

#: how long after its time a run is late
LATE_AFTER = timedelta(seconds=15)
#: runs per pass, and per unit of work
PASS = 400
CHUNK = 50


async def mark_late_runs(db: Database, now: datetime) -> int:
    """Name up to 400 overdue runs Late; how many."""
    due_before = now - LATE_AFTER
    late = await db.read(partial(select_late_runs, due_before=due_before, limit=PASS))
    await write_in_chunks(db, partial(mark_runs, now=now), late, CHUNK)
    return len(late)


def mark_runs(tx: Transaction, rows: list[Row], now: datetime) -> None:
    """Name these runs Late, unless they were taken, put off or deleted meanwhile."""
    for late in rows:
        row = select_flow_run_facts(tx, late.id)
        if row is None or row.state_name != "Scheduled" or row.state_type != StateType.SCHEDULED:
            continue
        details = {"scheduled_time": row.next_scheduled_start_time}
        if row.next_scheduled_start_time == late.next_scheduled_start_time:
            state = make_state(StateType.SCHEDULED, now, name="Late", details=details)
            propose_state(tx, row, state, now)
