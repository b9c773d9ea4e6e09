"""The slots of a flow run: of its deployment by a lease, of its pool and queue by being counted."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from penstock.contract.enums import ConcurrencyLimitStrategy
from penstock.core import documents
from penstock.core.bookkeeping import RunFacts
from penstock.core.concurrency_rules import (
    GRACE_SECONDS,
    DeploymentSlots,
    Limit,
    decide_grant,
    limit_at,
)
from penstock.core.flow_run_rules import EXECUTED, Outcome, lease_of
from penstock.core.states import State, StateType
from penstock.operations.concurrency_limits import free_lease, release_lease
from penstock.store.concurrency_slots import (
    LIMIT_COLUMNS,
    extend_lease,
    insert_lease,
    lock_limits,
    select_holds_slot,
    update_limit_counts,
)
from penstock.store.pool_slots import count_runs_of_pool, count_runs_of_queue, lock_pool
from penstock.store.statements import Row
from penstock.store.transaction import Stale, Transaction

#: these the rules grant only to a run that holds a slot, or gets one
_STARTS = (StateType.PENDING, StateType.RUNNING)


def deployment_slots(row: Row) -> DeploymentSlots | None:
    """What limits the runs of the deployment of a row of run facts; None: nothing."""
    if row.limit_id is None:
        return None
    limit = Limit(*[getattr(row, f"limit_{name}") for name in LIMIT_COLUMNS])
    options = documents.load(row.concurrency_options) if row.concurrency_options else {}
    return DeploymentSlots(
        limit,
        options.get("collision_strategy") == ConcurrencyLimitStrategy.CANCEL_NEW,
        options.get("grace_period_seconds") or GRACE_SECONDS,
    )


def needs_slots(row: Row, run: RunFacts, proposed: State) -> bool:
    """Whether slots may have to be looked at, taken or given back for this proposal."""
    if lease_of(run.state) is not None:
        return True
    return _is_taken(run, proposed) and (
        row.limit_id is not None or row.queue_limit is not None or row.pool_limit is not None
    )


def _is_taken(run: RunFacts, proposed: State) -> bool:
    executed = run.state is not None and run.state.type in EXECUTED
    return proposed.type is StateType.PENDING and not executed


def with_slot_facts(tx: Transaction, row: Row, run: RunFacts, proposed: State) -> RunFacts:
    """The facts of a run with what the rules need to know of slots.

    Whoever else would start a run of a pool with a limit waits from here on.
    """
    if _is_taken(run, proposed):
        run = replace(run, full=_full(tx, row))
    slots, lease = run.deployment_slots, lease_of(run.state)
    if slots is None or lease is None or proposed.type not in _STARTS:
        return run
    held = select_holds_slot(tx, slots.limit.id, lease)
    return replace(run, deployment_slots=replace(slots, is_held=held))


def _full(tx: Transaction, row: Row) -> str | None:
    if row.pool_limit is None and row.queue_limit is None:
        return None
    lock_pool(tx, row.work_pool_id)
    queue, pool = row.queue_limit, row.pool_limit
    if queue is not None and count_runs_of_queue(tx, row.work_queue_id) >= queue:
        return f"work queue {row.queue_name!r}"
    if pool is not None and count_runs_of_pool(tx, row.work_pool_id) >= pool:
        return f"work pool {row.pool_name!r}"
    return None


def move_slots(
    tx: Transaction, run_id: UUID, run: RunFacts, outcome: Outcome, now: datetime
) -> None:
    """Take and give back what was decided, last of all: slots are rows that everybody wants.

    Raises Stale when the slot that was free is taken, or the lease or the limit is gone.
    """
    if outcome.releases is not None:
        release_lease(tx, outcome.releases, now)
    if outcome.frees is not None:
        free_lease(tx, outcome.frees, now)
    slots = run.deployment_slots
    if slots is None or outcome.state is None:
        return
    until = now + timedelta(seconds=slots.grace_seconds)
    if outcome.takes is not None:
        _take_slot(tx, run_id, slots, outcome.takes, until, now)
    elif slots.is_held and outcome.state.type is StateType.RUNNING:
        lease = lease_of(outcome.state)
        if lease is not None and not extend_lease(tx, lease, until):
            raise Stale  # it has just run out


def _take_slot(
    tx: Transaction,
    run_id: UUID,
    slots: DeploymentSlots,
    lease: UUID,
    until: datetime,
    now: datetime,
) -> None:
    limits = [limit for limit in lock_limits(tx, [slots.limit.id]) if limit.active]
    granted, changed = decide_grant(limits, 1, now)
    if not limits or not (granted or slots.is_held):
        raise Stale
    if not granted:
        # The slot that the run has just given back goes over, also where the limit is lower now.
        current = limit_at(limits[0], now)
        changed = [replace(current, active_slots=current.active_slots + 1)]
    update_limit_counts(tx, changed)
    insert_lease(tx, lease, {slots.limit.id: 1}, ("flow_run", run_id), until, now)
