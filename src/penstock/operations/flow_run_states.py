"""Changing a flow run's state: facts, decision, effects."""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.contract.rest.states import StateCreate
from penstock.core import documents
from penstock.core.bookkeeping import RunFacts
from penstock.core.decisions import Decision
from penstock.core.errors import NotFound
from penstock.core.flow_run_rules import LEASE, decide_flow_run_state
from penstock.core.states import State, StateType, make_state
from penstock.operations.parent_task_runs import follow_subflow
from penstock.operations.run_slots import (
    deployment_slots,
    move_slots,
    needs_slots,
    with_slot_facts,
)
from penstock.store.flow_runs import select_flow_run_facts, update_flow_run_state
from penstock.store.statements import Row
from penstock.store.states import shape_of_state, state_values
from penstock.store.transaction import Transaction

_NO_KEYS: list[str] = []


def proposed_state(body: StateCreate, now: datetime) -> State:
    """The state a client proposes, with an id and a timestamp of the server."""
    details = body.state_details
    said = {
        key: value
        for key in details.model_fields_set
        # a lease that a client names may be another run's: a run keeps its own anyway
        if key != LEASE and (value := getattr(details, key)) is not None
    }
    return make_state(
        body.type,
        now,
        name=body.name or None,
        message=body.message,
        data=None if body.data is None else documents.dump(body.data),
        details=said,
    )


def current_state(row: Row) -> State | None:
    """The current state of a row of run facts."""
    if row.state_id is None:
        return None
    return State(
        row.state_id,
        StateType(row.state_type),
        row.state_name,
        row.state_timestamp,
        row.state_message,
        row.state_data,
        {} if row.state_details == documents.EMPTY_OBJECT else documents.load(row.state_details),
    )


def run_facts(row: Row) -> RunFacts:
    """What the rules know of a run, from its row."""
    return RunFacts(
        state=current_state(row),
        run_count=row.run_count,
        retries=row.retries,
        retry_delay=row.retry_delay,
        retry_type=row.retry_type,
        resuming=row.resuming,
        pause_keys=documents.load(row.pause_keys) if row.pause_keys else _NO_KEYS,
        deployment_id=row.deployment_id,
        parent_task_run_id=row.parent_task_run_id,
        infrastructure_pid=row.infrastructure_pid,
        expected_start_time=row.expected_start_time,
        next_scheduled_start_time=row.next_scheduled_start_time,
        start_time=row.start_time,
        end_time=row.end_time,
        total_run_time=row.total_run_time,
        attempt_id=row.attempt_id,
        attempt_expires_at=row.attempt_expires_at,
        deployment_is_gone=row.deployment_id is not None and row.known_deployment_id is None,
        deployment_slots=deployment_slots(row),
    )


def column_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """The rules' changes as values of columns."""
    keys = changes["pause_keys"]
    return changes | {
        "state_type": changes["state_type"].value,
        "pause_keys": documents.dump(keys) if keys else None,
    }


def state_event(run: Any, state: State, previous: State | None, run_count: int) -> dict[str, Any]:
    """What the outbox says of a run's new state; the fan-out makes the contract's event of it."""
    return {
        "run": {
            "id": run.id,
            "name": run.name,
            "flow_id": run.flow_id,
            "deployment_id": run.deployment_id,
            "work_queue_id": run.work_queue_id,
            "parent_task_run_id": run.parent_task_run_id,
            "tags": documents.load(run.tags),
            "run_count": run_count,
        },
        "state": _told_state(state),
        "from": None if previous is None else _told_state(previous),
    }


def _told_state(state: State) -> dict[str, Any]:
    return {
        "id": state.id,
        "type": state.type.value,
        "name": state.name,
        "message": state.message,
        "timestamp": state.timestamp,
        "scheduled_time": state.details.get("scheduled_time"),
        "pause_reschedule": bool(state.details.get("pause_reschedule")),
    }


def set_flow_run_state(
    tx: Transaction,
    run_id: UUID,
    proposed: State,
    now: datetime,
    *,
    force: bool = False,
    attempt: UUID | None = None,
) -> tuple[dict[str, Any], bool]:
    """Propose a state for a run: the contract's answer, and whether a new state was written.

    Raises NotFound; Stale when another proposal was written meanwhile (it is then run again).
    """
    row = select_flow_run_facts(tx, run_id)
    if row is None:
        raise NotFound(f"There is no flow run {run_id}")
    return propose_state(tx, row, proposed, now, force=force, attempt=attempt)


def propose_state(
    tx: Transaction,
    row: Row,
    proposed: State,
    now: datetime,
    *,
    force: bool = False,
    attempt: UUID | None = None,
) -> tuple[dict[str, Any], bool]:
    """Propose a state for the run whose facts were read as `row`; else as set_flow_run_state."""
    facts = run_facts(row)
    decide = partial(
        _decide_and_write, tx, row, proposed=proposed, now=now, force=force, attempt=attempt
    )
    if not needs_slots(row, facts, proposed):
        if row.parent_task_run_id is None:
            return decide(facts)
        with tx.whole():
            return decide(facts)
    with tx.whole():
        return decide(with_slot_facts(tx, row, facts, proposed))


def _decide_and_write(
    tx: Transaction,
    row: Row,
    facts: RunFacts,
    *,
    proposed: State,
    now: datetime,
    force: bool,
    attempt: UUID | None,
) -> tuple[dict[str, Any], bool]:
    outcome = decide_flow_run_state(facts, proposed, now, attempt=attempt, minimal=force)
    if outcome.state is None:
        return _answer(outcome.decision, facts.state, row), False
    changes = column_changes(outcome.changes)
    changed = {k: v for k, v in changes.items() if v != getattr(row, k)}
    changed["updated"] = now
    told = state_event(row, outcome.state, facts.state, changes["run_count"])
    update_flow_run_state(
        tx, row.id, row.state_id, changed, state_values(outcome.state, row.id), told
    )
    if row.parent_task_run_id is not None:
        follow_subflow(tx, row.parent_task_run_id, row.id, outcome.state, now)
    move_slots(tx, row.id, facts, outcome, now)
    return _answer(outcome.decision, outcome.state, row), True


def _answer(decision: Decision, state: State | None, row: Row) -> dict[str, Any]:
    status = decision.status
    details: dict[str, Any] = {"type": f"{status.value.lower()}_details"}
    if status is not SetStateStatus.ACCEPT:
        details["reason"] = decision.reason
    if status is SetStateStatus.WAIT:
        details["delay_seconds"] = decision.delay_seconds
    shape = None if state is None else shape_of_state(state, row.id, row.parent_task_run_id)
    return {"state": shape, "status": status.value, "details": details}
