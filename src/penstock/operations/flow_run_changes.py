"""Changing what is said of a flow run, all but its state."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.flow_runs import FlowRunUpdate
from penstock.core import documents
from penstock.core.errors import BadRequest, NotFound
from penstock.core.names import random_name
from penstock.core.states import StateType
from penstock.operations.deployment_facts import with_deployment_facts
from penstock.store.flow_runs import (
    replace_tags,
    select_flow_run_facts,
    select_flow_run_labels,
    update_flow_run,
)
from penstock.store.statements import Row
from penstock.store.transaction import Transaction


@dataclass(slots=True)
class PreparedUpdate:
    """Columns to set, and the tags where they were sent."""

    columns: dict[str, Any]
    tags: list[str] | None


def prepare_flow_run_update(
    tx: Transaction, id: UUID, body: FlowRunUpdate, now: datetime
) -> PreparedUpdate:
    """Check the changes of a run.

    Raises NotFound; BadRequest (400) for job variables of a run that is not SCHEDULED or has no
    deployment; InvalidInput (422) for job variables that the deployment's pool refuses.
    """
    row = _row(tx, id)
    sent = body.model_fields_set
    columns: dict[str, Any] = {"updated": now}
    if "name" in sent:
        columns["name"] = body.name or random_name()
    for name in ("flow_version", "infrastructure_pid"):
        if name in sent:
            columns[name] = getattr(body, name)
    if "parameters" in sent:
        columns["parameters"] = documents.dump(body.parameters)
    if "empirical_policy" in sent:
        columns |= _policy_columns(body)
    if "job_variables" in sent and body.job_variables is not None:
        _check_may_change_job(row)
        given = body.job_variables
        with_deployment_facts(
            tx, row.deployment_id, lambda facts: facts.check_job_variables(tx, given)
        )
        columns["job_variables"] = documents.dump(body.job_variables)
    tags = list(dict.fromkeys(body.tags)) if "tags" in sent else None
    if tags is not None:
        columns["tags"] = documents.dump(tags)
    return PreparedUpdate(columns, tags)


def _row(tx: Transaction, id: UUID) -> Row:
    row = select_flow_run_facts(tx, id)
    if row is None:
        raise NotFound(f"There is no flow run {id}")
    return row


def _policy_columns(body: FlowRunUpdate) -> dict[str, Any]:
    policy = body.empirical_policy
    return {
        "retries": policy.retries,
        "retry_delay": policy.retry_delay,
        "retry_type": policy.retry_type,
        "resuming": bool(policy.resuming),
        "pause_keys": documents.dump(policy.pause_keys) if policy.pause_keys else None,
    }


def _check_may_change_job(row: Row) -> None:
    if row.state_type != StateType.SCHEDULED:
        raise BadRequest(
            f"Job variables of a run change only while it is SCHEDULED; it is {row.state_type}"
        )
    if row.deployment_id is None:
        raise BadRequest("Job variables belong to runs of deployments; this run has none")


def change_flow_run(tx: Transaction, id: UUID, prepared: PreparedUpdate) -> None:
    """Write the changes. Raises NotFound, and BadRequest when the run has started meanwhile."""
    row = _row(tx, id)
    if "job_variables" in prepared.columns:
        _check_may_change_job(row)
    update_flow_run(tx, id, prepared.columns)
    if prepared.tags is not None:
        replace_tags(tx, id, documents.load(row.tags), prepared.tags)


def update_flow_run_labels(
    tx: Transaction, id: UUID, labels: dict[str, Any], now: datetime
) -> None:
    """Add labels to a run's, those of the same name replaced. Raises NotFound."""
    known = select_flow_run_labels(tx, id)
    if known is None:
        raise NotFound(f"There is no flow run {id}")
    update_flow_run(tx, id, {"labels": documents.dump(known | labels), "updated": now})
