"""Creating flow runs, the centre of the product: prepare without the write lock, then one unit."""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from penstock.contract.rest.flow_runs import DeploymentFlowRunCreate, FlowRunCreate
from penstock.core import documents
from penstock.core.bookkeeping import RunFacts
from penstock.core.errors import BadRequest, Conflict, NotFound, PenstockServerError, Unavailable
from penstock.core.flow_run_rules import decide_flow_run_state
from penstock.core.ids import new_id
from penstock.core.names import random_name
from penstock.core.states import State, StateType, make_state
from penstock.operations.deployment_facts import (
    DeploymentFacts,
    deployment_facts,
    forget,
    with_deployment_facts,
)
from penstock.operations.flow_run_states import column_changes, proposed_state, state_event
from penstock.operations.hydration import hydrated_parameters
from penstock.operations.parent_task_runs import follow_subflow
from penstock.store.flow_runs import (
    NEW_SCHEDULED_RUN,
    flow_run_shape,
    insert_flow_run,
    insert_flow_runs,
    select_flow_run,
    select_run_id_by_key,
)
from penstock.store.flows import select_flow_labels
from penstock.store.run_queues import insert_work_queue_if_missing, select_queue_of_pool
from penstock.store.states import shape_of_state, state_values
from penstock.store.tables import WORKSPACE, flow_run
from penstock.store.transaction import Stale, Transaction

#: how long preparing the runs of one bulk create may take: slow schemas are validated one by one
BULK_SECONDS = 10.0

RunValues = namedtuple("RunValues", flow_run.c.keys())  # type: ignore[misc]  # from the table

#: every column of a new run that nobody has set
_NEW: dict[str, Any] = dict.fromkeys(flow_run.c.keys()) | {
    "workspace_id": WORKSPACE,
    "run_count": 0,
    "total_run_time": 0.0,
    "auto_scheduled": False,
    "resuming": False,
}


@dataclass(slots=True)
class Queue:
    """Where a run waits for a worker. `id` is None while the queue has still to be made."""

    id: UUID | None
    name: str
    pool_id: UUID
    pool_name: str


@dataclass(slots=True)
class PreparedRun:
    """A run ready to be written: everything thought out, nothing stored yet."""

    run: dict[str, Any]
    state: State
    tags: list[str]
    queue: Queue | None
    #: the deployment's revision this was prepared from; None for a run without a deployment
    revision: int | None
    now: datetime


# ------------------------------------------------------------------ prepare


def prepare_flow_run_of_deployment(
    tx: Transaction, deployment_id: UUID, body: DeploymentFlowRunCreate, now: datetime
) -> PreparedRun:
    """Think out a run of a deployment.

    Raises NotFound for the deployment, HydrationError (400) for a template or variable, Conflict
    (409) for parameters the schema refuses, InvalidInput (422) for job variables, BadRequest (400)
    for a queue's name without a pool.
    """
    return with_deployment_facts(
        tx, deployment_id, lambda facts: _prepare_with(tx, facts, body, now)
    )


def _prepare_with(
    tx: Transaction, facts: DeploymentFacts, body: DeploymentFlowRunCreate, now: datetime
) -> PreparedRun:
    parameters, parameters_text = hydrated_parameters(tx, facts.parameters | body.parameters)
    enforce = body.enforce_parameter_schema
    if facts.enforce_parameter_schema if enforce is None else enforce:
        facts.check_parameters(parameters)
    facts.check_job_variables(tx, body.job_variables)
    state = (
        make_state(StateType.SCHEDULED, now)
        if body.state is None
        else proposed_state(body.state, now)
    )
    values = _common_values(body, now) | {
        "flow_id": facts.flow_id,
        "deployment_id": facts.id,
        "deployment_version": facts.version,
        "parameters": parameters_text,
        "labels": documents.dump(facts.labels | (body.labels or {})),
        "infrastructure_document_id": body.infrastructure_document_id
        or facts.infrastructure_document_id,
        "job_variables": documents.dump(body.job_variables or {}),
    }
    tags = list(dict.fromkeys([*facts.tags, *body.tags]))
    queue = _queue_of(tx, facts, body.work_queue_name or None)
    return _prepared(values, state, tags, queue, facts.revision, now)


def prepare_flow_run(tx: Transaction, body: FlowRunCreate, now: datetime) -> PreparedRun:
    """Think out a run of a flow, without a deployment: parameters are taken as they are.

    Raises Conflict (409) for an unknown flow, NotFound for an unknown pool or queue.
    """
    labels = select_flow_labels(tx, body.flow_id)
    if labels is None:
        raise Conflict(f"There is no flow {body.flow_id}; create it by POST /flows/ first")
    labels = labels | {"prefect.flow.id": str(body.flow_id)} | (body.labels or {})
    if body.deployment_id is not None:
        labels.setdefault("prefect.deployment.id", str(body.deployment_id))
    state = (
        make_state(StateType.PENDING, now)
        if body.state is None
        else proposed_state(body.state, now)
    )
    values = _common_values(body, now) | {
        "flow_id": body.flow_id,
        "deployment_id": body.deployment_id,
        "flow_version": body.flow_version,
        "parameters": documents.dump(body.parameters),
        "labels": documents.dump(labels),
        "infrastructure_document_id": body.infrastructure_document_id,
        "job_variables": None if body.job_variables is None else documents.dump(body.job_variables),
    }
    queue = None
    if body.work_pool_name is not None:
        queue = _queue_of_pool(tx, body.work_pool_name, body.work_queue_name)
    return _prepared(values, state, list(dict.fromkeys(body.tags)), queue, None, now)


def prepare_scheduled_run(
    facts: DeploymentFacts,
    state: State,
    now: datetime,
    *,
    schedule_id: UUID,
    parameters: dict[str, Any],
    key: str,
    created_by: dict[str, Any],
) -> PreparedRun:
    """Lay out a run that a schedule makes; its parameters are kept as they are written."""
    values = _NEW | {
        "id": new_id(now),
        "created": now,
        "updated": now,
        "name": random_name(),
        "flow_id": facts.flow_id,
        "deployment_id": facts.id,
        "deployment_version": facts.version,
        "schedule_id": schedule_id,
        "idempotency_key": key,
        "parameters": documents.dump(facts.parameters | parameters),
        "context": documents.EMPTY_OBJECT,
        "labels": documents.dump(facts.labels),
        "auto_scheduled": True,
        "infrastructure_document_id": facts.infrastructure_document_id,
        "created_by": documents.dump(created_by),
        "job_variables": documents.EMPTY_OBJECT,
    }
    tags = list(dict.fromkeys(["auto-scheduled", *facts.tags]))
    return _prepared(values, state, tags, _queue_of(None, facts, None), facts.revision, now)


def _common_values(body: DeploymentFlowRunCreate | FlowRunCreate, now: datetime) -> dict[str, Any]:
    policy = body.empirical_policy
    return _NEW | {
        "id": new_id(now),
        "created": now,
        "updated": now,
        "name": body.name or random_name(),
        "idempotency_key": body.idempotency_key,
        "context": documents.dump(body.context) if body.context else documents.EMPTY_OBJECT,
        "retries": policy.retries,
        "retry_delay": policy.retry_delay,
        "retry_type": policy.retry_type,
        "resuming": bool(policy.resuming),
        "pause_keys": documents.dump(policy.pause_keys) if policy.pause_keys else None,
        "parent_task_run_id": body.parent_task_run_id,
    }


def _prepared(
    values: dict[str, Any],
    state: State,
    tags: list[str],
    queue: Queue | None,
    revision: int | None,
    now: datetime,
) -> PreparedRun:
    """Book the first state, by the minimal rules, and lay everything out for writing."""
    facts = RunFacts(
        retries=values["retries"],
        retry_delay=values["retry_delay"],
        retry_type=values["retry_type"],
        resuming=values["resuming"],
        pause_keys=documents.load(values["pause_keys"]) if values["pause_keys"] else [],
        deployment_id=values["deployment_id"],
        parent_task_run_id=values["parent_task_run_id"],
    )
    outcome = decide_flow_run_state(facts, state, now, minimal=True)
    assert outcome.state is not None  # nothing refuses a first state
    values |= column_changes(outcome.changes)
    values["tags"] = documents.dump(tags) if tags else documents.EMPTY_ARRAY
    values["work_queue_id"] = None if queue is None else queue.id
    return PreparedRun(values, outcome.state, tags, queue, revision, now)


def _queue_of(tx: Transaction | None, facts: DeploymentFacts, name: str | None) -> Queue | None:
    """The queue of that name in the deployment's pool; without a name the deployment's own."""
    if facts.work_pool_id is None or facts.work_pool_name is None:
        if name is not None:
            raise BadRequest(
                f"work_queue_name {name!r} needs a deployment with a work pool; this one has none"
            )
        return None
    if name is None or name == facts.work_queue_name:
        assert facts.work_queue_name is not None
        return Queue(
            facts.work_queue_id, facts.work_queue_name, facts.work_pool_id, facts.work_pool_name
        )
    assert tx is not None  # only a name has to be looked up
    found = select_queue_of_pool(tx, facts.work_pool_name, name)
    queue_id = None if found is None else found.id
    return Queue(queue_id, name, facts.work_pool_id, facts.work_pool_name)


def _queue_of_pool(tx: Transaction, pool_name: str, queue_name: str | None) -> Queue:
    found = select_queue_of_pool(tx, pool_name, queue_name)
    if found is None:
        where = f"work pool {pool_name!r}"
        what = where if queue_name is None else f"work queue {queue_name!r} in {where}"
        raise NotFound(f"There is no {what}; create it first")
    return Queue(found.id, found.name, found.work_pool_id, pool_name)


# ------------------------------------------------------------------ the unit of work


def create_flow_run(tx: Transaction, prepared: PreparedRun) -> tuple[dict[str, Any], bool]:
    """Create the run, or return the one that already holds its idempotency key.

    The run as FlowRunResponse, and whether it is new. Raises Stale when the deployment has changed
    since, Conflict when the key belongs to a run that was pruned.
    """
    run, state = prepared.run, prepared.state
    queue = prepared.queue
    run["work_queue_id"] = _queue_id(tx, prepared)
    values = RunValues(**run)
    told = state_event(values, state, None, run["run_count"])
    row = state_values(state, run["id"])
    parent = run["parent_task_run_id"]
    try:
        with nullcontext() if parent is None else tx.whole():
            new = insert_flow_run(tx, run, row, prepared.tags, told, prepared.revision)
            if new and parent is not None:
                follow_subflow(tx, parent, run["id"], state, prepared.now)
    except Stale:
        forget(tx, run["deployment_id"])
        raise
    if not new:
        return _existing(tx, run, prepared.now), False
    shape = flow_run_shape(
        values,
        prepared.now,
        current_state=shape_of_state(state, run["id"], run["parent_task_run_id"]),
        work_queue_name=None if queue is None else queue.name,
        work_pool_id=None if queue is None else queue.pool_id,
        work_pool_name=None if queue is None else queue.pool_name,
    )
    return shape, True


def _queue_id(tx: Transaction, prepared: PreparedRun) -> UUID | None:
    """The queue's id; the queue is made if it is missing. Remembers nothing: units run again."""
    queue = prepared.queue
    if queue is None or queue.id is not None:
        return None if queue is None else queue.id
    return insert_work_queue_if_missing(tx, queue.pool_id, queue.name, prepared.now)


def prepare_flow_runs_of_deployment(
    tx: Transaction,
    deployment_id: UUID,
    bodies: Sequence[DeploymentFlowRunCreate],
    now: datetime,
) -> list[PreparedRun | PenstockServerError]:
    """Think out many runs of a deployment; in the place of one that cannot be made, why not.

    Raises NotFound for the deployment.
    """
    deployment_facts(tx, deployment_id)
    prepared: list[PreparedRun | PenstockServerError] = []
    deadline = monotonic() + BULK_SECONDS
    for body in bodies:
        if monotonic() > deadline:
            reason = f"Preparing the runs before this one took more than {BULK_SECONDS:.0f} s"
            prepared.append(Unavailable(f"{reason}; send fewer at once"))
            continue
        try:
            prepared.append(prepare_flow_run_of_deployment(tx, deployment_id, body, now))
        except PenstockServerError as e:
            prepared.append(e)
    return prepared


def create_flow_runs(
    tx: Transaction, prepared: list[PreparedRun | PenstockServerError]
) -> list[UUID | PenstockServerError]:
    """Create the runs, all in one unit: the id of each (or of the run that holds its key)."""
    runs = [p for p in prepared if isinstance(p, PreparedRun)]
    if not runs:
        return [p for p in prepared if isinstance(p, PenstockServerError)]
    new = []
    for p in runs:
        p.run["work_queue_id"] = _queue_id(tx, p)
        told = state_event(RunValues(**p.run), p.state, None, p.run["run_count"])
        new.append((p.run, state_values(p.state, p.run["id"]), p.tags, told))
    deployment_id, revision = runs[0].run["deployment_id"], runs[0].revision
    assert revision is not None  # they are of a deployment
    try:
        holders = insert_flow_runs(tx, new, deployment_id, revision)
    except Stale:
        forget(tx, deployment_id)
        raise
    for p in runs:
        parent, id = p.run["parent_task_run_id"], p.run["id"]
        if parent is not None and holders.get(p.run["idempotency_key"], id) == id:
            follow_subflow(tx, parent, id, p.state, p.now)
    return [
        p
        if isinstance(p, PenstockServerError)
        else holders.get(p.run["idempotency_key"], p.run["id"])
        for p in prepared
    ]


def write_scheduled_run(tx: Transaction, prepared: PreparedRun) -> bool:
    """Write a run that a schedule makes; False when its key is taken. Raises Stale as above."""
    run, state = prepared.run, prepared.state
    told = state_event(RunValues(**run), state, None, 0)
    row = state_values(state, run["id"])
    kind = NEW_SCHEDULED_RUN
    return insert_flow_run(tx, run, row, prepared.tags, told, prepared.revision, kind)


def _existing(tx: Transaction, run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    key = run["idempotency_key"]
    holder = select_run_id_by_key(tx, run["flow_id"], key)
    if holder is None:  # deleted between the two statements: the key is free again
        raise Stale
    existing = select_flow_run(tx, holder, now)
    if existing is None:
        raise Conflict(
            f"The idempotency key {key!r} was used by flow run {holder}, which retention has "
            "removed since; use a new key to run again"
        )
    return existing
