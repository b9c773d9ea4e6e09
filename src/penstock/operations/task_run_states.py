"""Changing a task run's state: facts, decision, effects. What clients report: `task_runs`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.core import documents
from penstock.core.decisions import Decision
from penstock.core.errors import NotFound
from penstock.core.flow_run_rules import Outcome
from penstock.core.states import State, StateType, moment
from penstock.core.task_run_rules import (
    AWAITING_RETRY,
    Policy,
    TaskRunFacts,
    cache_key_to_remember,
    decide_task_run_state,
    is_for_task_workers,
    keeps_tag_slots,
    policy_for,
    wanted_cache_key,
    wants_tag_slots,
)
from penstock.operations.concurrency_limits import release_tag_slots, take_tag_slots
from penstock.store.statements import Row
from penstock.store.states import shape_of_state
from penstock.store.task_cache import insert_cached_state, select_cached_state
from penstock.store.task_deliveries import AGAIN, FIRST, insert_delivery
from penstock.store.task_run_states import select_task_run_facts, update_task_run_state
from penstock.store.transaction import Transaction


def set_task_run_state(
    tx: Transaction,
    id: UUID,
    proposed: State,
    now: datetime,
    *,
    draw: float,
    force: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Propose a state for a task run: the contract's answer, and whether a state was written.

    `draw`, uniform in 0..1, spreads retries. Raises NotFound; Stale when another state was written
    meanwhile (the proposal is then judged again).
    """
    row = select_task_run_facts(tx, id)
    if row is None:
        raise NotFound(f"There is no task run {id}")
    policy = policy_for(proposed, force=force)
    facts = replace(task_run_facts(row), draw=draw, cached=_cached(tx, proposed, policy, now))
    outcome = decide_task_run_state(facts, proposed, now, policy)
    tags = documents.load(row.tags)
    if tags and wants_tag_slots(outcome, policy):
        slots = take_tag_slots(tx, id, tags, now)
        if slots.status is not SetStateStatus.ACCEPT:
            outcome = Outcome(slots, None, {})
    if outcome.state is None:
        return _answer(outcome.decision, facts.state, row), False
    write_task_run_state(tx, row, outcome, now)
    key = cache_key_to_remember(proposed, outcome, policy)
    if key is not None:
        expires_at = moment(proposed, "cache_expiration")
        run_id = row.flow_run_id or row.id
        insert_cached_state(tx, key, expires_at, run_id, outcome.state.id, now)
    return _answer(outcome.decision, outcome.state, row), True


def deliver_if_deferred(
    tx: Transaction, id: UUID, task_key: str, state: State, now: datetime
) -> None:
    """Have a task worker get the task run, where its new state says that it waits for one."""
    if is_for_task_workers(state):
        priority = AGAIN if state.name == AWAITING_RETRY else FIRST
        at = moment(state, "scheduled_time") or now
        insert_delivery(tx, id, task_key, priority, at, now)


def write_task_run_state(tx: Transaction, row: Row, outcome: Outcome, now: datetime) -> None:
    """Write the outcome's state with all that follows from it; Stale when another was written."""
    state = outcome.state
    assert state is not None
    changes = outcome.changes | {"state_type": state.type.value, "updated": now}
    update_task_run_state(tx, row, state, changes)
    if not keeps_tag_slots(state) and row.tags != documents.EMPTY_ARRAY:
        release_tag_slots(tx, row.id, now)
    deliver_if_deferred(tx, row.id, row.task_key, state, now)


def task_run_facts(row: Row) -> TaskRunFacts:
    """What the rules know of a task run, from its row."""
    policy = documents.load(row.empirical_policy)
    retries = policy.get("retries")
    return TaskRunFacts(
        state=_state(row, "state"),
        run_count=row.run_count,
        retries=retries if isinstance(retries, int) else None,
        retry_delays=_numbers(policy.get("retry_delay")),
        retry_jitter_factor=next(iter(_numbers(policy.get("retry_jitter_factor"))), 0.0),
        expected_start_time=row.expected_start_time,
        next_scheduled_start_time=row.next_scheduled_start_time,
        start_time=row.start_time,
        end_time=row.end_time,
        total_run_time=row.total_run_time,
        flow_run_id=row.flow_run_id,
        flow_run_state=_state(row, "flow_state"),
        flow_run_count=row.flow_run_count or 0,
        flow_run_run_count=row.flow_run_run_count,
    )


def _numbers(value: Any) -> list[float]:
    """One number or several; what clients report of a policy is kept as they say it."""
    many = value if isinstance(value, list) else [value]
    return [float(n) for n in many if isinstance(n, int | float)]


def _state(row: Row, prefix: str) -> State | None:
    known: Mapping[str, Any] = row._asdict()
    if known[f"{prefix}_id"] is None or known[f"{prefix}_details"] is None:
        return None
    return State(
        known[f"{prefix}_id"],
        StateType(known[f"{prefix}_type"]),
        known[f"{prefix}_name"],
        known[f"{prefix}_timestamp"],
        known.get(f"{prefix}_message"),
        known.get(f"{prefix}_data"),
        documents.load(known[f"{prefix}_details"]),
    )


def _cached(tx: Transaction, proposed: State, policy: Policy, now: datetime) -> State | None:
    key = wanted_cache_key(proposed, policy)
    row = None if key is None else select_cached_state(tx, key, now)
    if row is None:
        return None
    details = documents.load(row.state_details)
    type = StateType(row.type)
    return State(row.id, type, row.name, row.timestamp, row.message, row.data, details)


def _answer(decision: Decision, state: State | None, row: Row) -> dict[str, Any]:
    status = decision.status
    details: dict[str, Any] = {"type": f"{status.value.lower()}_details"}
    if status is not SetStateStatus.ACCEPT:
        details["reason"] = decision.reason
    if status is SetStateStatus.WAIT:
        details["delay_seconds"] = decision.delay_seconds
    shape = None if state is None else shape_of_state(state, row.flow_run_id, row.id)
    return {"state": shape, "status": status.value, "details": details}
