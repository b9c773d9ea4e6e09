"""Making task runs by REST, and renaming them. Those that clients report: `task_runs`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.task_runs import TaskRunCreate, TaskRunUpdate
from penstock.core import documents
from penstock.core.errors import Conflict, NotFound
from penstock.core.ids import new_id
from penstock.core.names import random_name
from penstock.core.states import StateType, make_state
from penstock.core.task_run_rules import Policy, TaskRunFacts, decide_task_run_state
from penstock.operations.flow_run_states import proposed_state
from penstock.operations.task_run_states import deliver_if_deferred
from penstock.store.flow_runs import select_flow_run_labels
from penstock.store.task_run_lists import select_task_run
from penstock.store.task_run_states import update_task_run as update_columns
from penstock.store.task_runs import (
    insert_task_run,
    lock_natural_key,
    select_task_run_id,
    task_run_values,
)
from penstock.store.transaction import Transaction


def create_task_run(
    tx: Transaction, body: TaskRunCreate, now: datetime
) -> tuple[dict[str, Any], bool]:
    """Create the task run, or return the one with its flow run, task key and dynamic key.

    The task run as the wire has it, and whether it is new. Raises Conflict for an unknown flow run.
    """
    natural_key = (body.flow_run_id, body.task_key, body.dynamic_key)
    lock_natural_key(tx, *natural_key)
    id = select_task_run_id(tx, *natural_key)
    new = id is None
    if id is None:
        id = body.id or new_id(now)
        _insert(tx, id, body, now)
    shape = select_task_run(tx, id, now)
    assert shape is not None
    return shape, new


def _insert(tx: Transaction, id: UUID, body: TaskRunCreate, now: datetime) -> None:
    labels = _labels(tx, body)
    proposed = (
        make_state(StateType.PENDING, now)
        if body.state is None
        else proposed_state(body.state, now)
    )
    facts = TaskRunFacts(flow_run_id=body.flow_run_id)
    outcome = decide_task_run_state(facts, proposed, now, Policy.MINIMAL)
    state = outcome.state
    assert state is not None  # nothing refuses a first state
    tags = list(dict.fromkeys(body.tags))
    values = {
        "name": body.name or random_name(),
        "flow_run_id": body.flow_run_id,
        "task_key": body.task_key,
        "dynamic_key": body.dynamic_key,
        "cache_key": body.cache_key,
        "cache_expiration": body.cache_expiration,
        "task_version": body.task_version,
        "empirical_policy": body.empirical_policy.model_dump_json(exclude_unset=True),
        "tags": documents.dump(tags),
        "labels": documents.dump(labels),
        "task_inputs": documents.dump(
            {k: [i.model_dump(mode="json") for i in v] for k, v in body.task_inputs.items()}
        ),
        **outcome.changes,
        "state_type": state.type.value,
    }
    insert_task_run(tx, task_run_values(None, id, values, now), tags, state)
    deliver_if_deferred(tx, id, body.task_key, state, now)


def _labels(tx: Transaction, body: TaskRunCreate) -> dict[str, Any]:
    """The flow run's labels, its id, and those that were given: the last of a name holds."""
    given: dict[str, Any] = dict(body.labels or {})
    if body.flow_run_id is None:
        return given
    inherited = select_flow_run_labels(tx, body.flow_run_id)
    if inherited is None:
        raise Conflict(f"There is no flow run {body.flow_run_id}")
    return inherited | {"prefect.flow-run.id": str(body.flow_run_id)} | given


def update_task_run(tx: Transaction, id: UUID, body: TaskRunUpdate, now: datetime) -> None:
    """Change what was sent of a task run; a name that is null or empty is made up. NotFound."""
    changes: dict[str, Any] = {"updated": now}
    if "name" in body.model_fields_set:
        changes["name"] = body.name or random_name()
    if not update_columns(tx, id, changes):
        raise NotFound(f"There is no task run {id}")
