"""Clean up after cancelled runs: their tasks and subflows end too, and nothing is CANCELLING for
ever.
"""

from datetime import datetime, timedelta
from functools import partial

from penstock.core.states import StateType, make_state
from penstock.core.task_run_rules import Policy, decide_task_run_state
from penstock.operations.flow_run_states import propose_state
from penstock.operations.task_run_states import task_run_facts, write_task_run_state
from penstock.services.chunks import write_in_chunks
from penstock.store.cancelled_runs import (
    select_left_subflow_runs,
    select_left_task_runs,
    select_stuck_cancellations,
)
from penstock.store.database import Database
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.statements import Row
from penstock.store.task_run_states import select_task_run_facts
from penstock.store.transaction import Transaction

#: runs that were cancelled so lately are looked at in every pass
RECENT = timedelta(minutes=10)
#: those before only now and then: there may be many, and late reports are rare
OLD_EVERY_SECONDS = 600
OLD = timedelta(hours=24)
#: how long a run may be CANCELLING
STUCK_AFTER = timedelta(seconds=300)
#: rows of one kind per pass, and per unit of work
PASS = 100
CHUNK = 50
_WITH_ITS_FLOW = "The flow run around it was cancelled"
_GIVEN_UP = "Nobody has reported that the run's process has ended; it counts as cancelled"


async def clean_up_cancelled(db: Database, now: datetime) -> int:
    """End what runs cancelled lately have left, and cancellations that nobody ends; how many."""
    return await _end_leftovers(db, now, RECENT) + await _end_stuck(db, now)


async def clean_up_cancelled_before(db: Database, now: datetime) -> int:
    """End what runs cancelled in the last day have left; how many."""
    return await _end_leftovers(db, now, OLD)


async def _end_leftovers(db: Database, now: datetime, lately: timedelta) -> int:
    since = now - lately
    # Subflows first: the task runs that stand for them follow their states.
    subflows = await db.read(partial(select_left_subflow_runs, since=since, limit=PASS))
    await write_in_chunks(db, partial(cancel_subflow_runs, now=now), subflows, CHUNK)
    tasks = await db.read(partial(select_left_task_runs, since=since, limit=PASS))
    await write_in_chunks(db, partial(cancel_task_runs, now=now), tasks, CHUNK)
    return len(tasks) + len(subflows)


async def _end_stuck(db: Database, now: datetime) -> int:
    before = now - STUCK_AFTER
    stuck = await db.read(partial(select_stuck_cancellations, before=before, limit=PASS))
    await write_in_chunks(db, partial(end_cancellations, now=now), stuck, CHUNK)
    return len(stuck)


def cancel_task_runs(tx: Transaction, rows: list[Row], now: datetime) -> None:
    """Give these task runs the state CANCELLED, unless they have got another one meanwhile."""
    for left in rows:
        row = select_task_run_facts(tx, left.id)
        if row is None or row.state_id != left.state_id:
            continue
        state = make_state(StateType.CANCELLED, now, message=_WITH_ITS_FLOW)
        outcome = decide_task_run_state(task_run_facts(row), state, now, Policy.MINIMAL)
        write_task_run_state(tx, row, outcome, now)


def cancel_subflow_runs(tx: Transaction, rows: list[Row], now: datetime) -> None:
    """Cancel these runs: those of deployments by their worker, the others ended with their flow."""
    for left in rows:
        row = select_flow_run_facts(tx, left.id)
        if row is None or row.state_id != left.state_id:
            continue
        alone = row.deployment_id is None
        kind = StateType.CANCELLED if alone else StateType.CANCELLING
        state = make_state(kind, now, message=_WITH_ITS_FLOW)
        propose_state(tx, row, state, now, force=alone)


def end_cancellations(tx: Transaction, rows: list[Row], now: datetime) -> None:
    """Have these runs cancelled, unless they have ended meanwhile."""
    for stuck in rows:
        row = select_flow_run_facts(tx, stuck.id)
        if row is not None and row.state_id == stuck.state_id:
            state = make_state(StateType.CANCELLED, now, message=_GIVEN_UP)
            propose_state(tx, row, state, now, force=True)
