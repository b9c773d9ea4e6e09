"""Statements of deployments and their schedules, and rows <-> shape."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, insert, select, update

from penstock.contract.enums import DeploymentStatus
from penstock.core import documents
from penstock.core.concurrency_rules import FIRST_OCCUPANCY_SECONDS, Limit, limit_at
from penstock.store.statements import Row, Statement
from penstock.store.tables import (
    WORKSPACE,
    concurrency_limit,
    deployment,
    deployment_tag,
    flow,
    work_pool,
    work_queue,
)
from penstock.store.transaction import Transaction

#: a deployment polled more recently than that is READY
READY_FOR = timedelta(seconds=60)

_SELECT_FACTS = Statement(
    select(
        deployment.c.id,
        deployment.c.revision,
        deployment.c.flow_id,
        deployment.c.version,
        deployment.c.tags,
        deployment.c.labels,
        deployment.c.parameters,
        deployment.c.parameter_openapi_schema,
        deployment.c.enforce_parameter_schema,
        deployment.c.job_variables,
        deployment.c.infrastructure_document_id,
        work_queue.c.id.label("work_queue_id"),
        work_queue.c.name.label("work_queue_name"),
        work_pool.c.id.label("work_pool_id"),
        work_pool.c.name.label("work_pool_name"),
        work_pool.c.base_job_template,
    )
    .select_from(deployment)
    .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .where(deployment.c.id == bindparam("id"))
)


def select_deployment_facts(tx: Transaction, id: UUID) -> Row | None:
    """What creating a run from this deployment depends on; None when it is not there."""
    row: Any = tx.row(_SELECT_FACTS, id=id)
    return row


# ------------------------------------------------------------------ rows -> shape

#: a deployment with the names of its queue and pool and with its limit
SELECT_DEPLOYMENTS: Select[Any] = (
    select(
        deployment,
        work_queue.c.name.label("work_queue_name"),
        work_queue.c.last_polled.label("queue_last_polled"),
        work_pool.c.name.label("work_pool_name"),
        concurrency_limit.c.created.label("limit_created"),
        concurrency_limit.c.updated.label("limit_updated"),
        concurrency_limit.c.name.label("limit_name"),
        concurrency_limit.c.limit.label("limit_limit"),
        concurrency_limit.c.active.label("limit_active"),
        concurrency_limit.c.active_slots.label("limit_active_slots"),
        concurrency_limit.c.slot_decay_per_second.label("limit_slot_decay_per_second"),
    )
    .select_from(deployment)
    .outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .outerjoin(concurrency_limit, concurrency_limit.c.id == deployment.c.concurrency_limit_id)
)
_SELECT = Statement(SELECT_DEPLOYMENTS.where(deployment.c.id == bindparam("id")))
_SELECT_BY_NAME = Statement(
    SELECT_DEPLOYMENTS.join(flow, flow.c.id == deployment.c.flow_id).where(
        flow.c.workspace_id == WORKSPACE,
        flow.c.name == bindparam("flow_name"),
        deployment.c.name == bindparam("name"),
    )
)
_SELECT_ID = Statement(
    select(deployment.c.id).where(
        deployment.c.workspace_id == WORKSPACE,
        deployment.c.flow_id == bindparam("flow_id"),
        deployment.c.name == bindparam("name"),
    )
)


def deployment_shape(
    row: Row, schedules: Sequence[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    """DeploymentResponse for a row of SELECT_DEPLOYMENTS."""
    fragment = documents.Fragment

    def document(text: str | None) -> Any:
        return None if text is None else fragment(text)

    polled = [t for t in (row.last_polled, row.queue_last_polled) if t is not None]
    ready = any(now - t < READY_FOR for t in polled)
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "name": row.name,
        "version": row.version,
        "description": row.description,
        "flow_id": row.flow_id,
        "paused": row.paused,
        "schedules": schedules,
        "concurrency_limit": None,
        "global_concurrency_limit": _limit_shape(row, now),
        "concurrency_options": document(row.concurrency_options),
        "job_variables": fragment(row.job_variables),
        "parameters": fragment(row.parameters),
        "pull_steps": document(row.pull_steps),
        "tags": fragment(row.tags),
        "labels": fragment(row.labels),
        "work_queue_id": row.work_queue_id,
        "work_queue_name": row.work_queue_name,
        "work_pool_name": row.work_pool_name,
        "last_polled": max(polled, default=None),
        "parameter_openapi_schema": document(row.parameter_openapi_schema),
        "path": row.path,
        "entrypoint": row.entrypoint,
        "storage_document_id": row.storage_document_id,
        "infrastructure_document_id": row.infrastructure_document_id,
        "created_by": document(row.created_by),
        "updated_by": document(row.updated_by),
        "status": (DeploymentStatus.READY if ready else DeploymentStatus.NOT_READY).value,
        "enforce_parameter_schema": row.enforce_parameter_schema,
    }


def _limit_shape(row: Row, now: datetime) -> dict[str, Any] | None:
    if row.limit_name is None:
        return None
    limit = Limit(
        row.concurrency_limit_id,
        row.limit_name,
        row.limit_limit,
        row.limit_active,
        row.limit_active_slots,
        0,
        row.limit_slot_decay_per_second,
        FIRST_OCCUPANCY_SECONDS,
        row.limit_updated,
    )
    return {
        "id": row.concurrency_limit_id,
        "created": row.limit_created,
        "updated": row.limit_updated,
        "active": row.limit_active,
        "name": row.limit_name,
        "limit": row.limit_limit,
        "active_slots": limit_at(limit, now).active_slots,
        "slot_decay_per_second": row.limit_slot_decay_per_second,
    }


def select_deployment_row(tx: Transaction, id: UUID) -> Row | None:
    """A row of SELECT_DEPLOYMENTS; None when there is none with this id."""
    row: Any = tx.row(_SELECT, id=id)
    return row


def select_deployment_row_by_name(tx: Transaction, flow_name: str, name: str) -> Row | None:
    """A row of SELECT_DEPLOYMENTS; None when there is no such deployment."""
    row: Any = tx.row(_SELECT_BY_NAME, flow_name=flow_name, name=name)
    return row


def select_deployment_id(tx: Transaction, flow_id: UUID, name: str) -> UUID | None:
    """The id of a flow's deployment of that name."""
    found: UUID | None = tx.value(_SELECT_ID, flow_id=flow_id, name=name)
    return found


# ------------------------------------------------------------------ changes

_INSERT = Statement(
    insert(deployment).values({c.name: bindparam(c.name, type_=c.type) for c in deployment.c})
)
#: every column of a new deployment that nobody has set
NEW_DEPLOYMENT: dict[str, Any] = dict.fromkeys(deployment.c.keys()) | {
    "workspace_id": WORKSPACE,
    "revision": 1,
    "paused": False,
    "tags": documents.EMPTY_ARRAY,
    "labels": documents.EMPTY_OBJECT,
    "parameters": documents.EMPTY_OBJECT,
    "enforce_parameter_schema": True,
    "job_variables": documents.EMPTY_OBJECT,
}


def insert_deployment(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a deployment. Conflict when the flow has one of this name."""
    tx.run(_INSERT, **{**NEW_DEPLOYMENT, **values})


@lru_cache(maxsize=128)
def _update(columns: tuple[str, ...]) -> Statement:
    values: dict[Any, Any] = {c: bindparam(f"new_{c}", type_=deployment.c[c].type) for c in columns}
    values["revision"] = deployment.c.revision + 1
    return Statement(
        update(deployment)
        .where(deployment.c.id == bindparam("deployment_id", type_=deployment.c.id.type))
        .values(values)
    )


def update_deployment(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> bool:
    """Set columns of a deployment, and count its revision; False when it is not there."""
    params = {f"new_{k}": v for k, v in changes.items()}
    return bool(tx.run(_update(tuple(sorted(changes))), deployment_id=id, **params))


_INSERT_TAG = Statement(
    insert(deployment_tag).values(
        tag=bindparam("tag"),
        deployment_id=bindparam("deployment_id", type_=deployment_tag.c.deployment_id.type),
    )
)


def replace_deployment_tags(tx: Transaction, id: UUID, tags: Sequence[str]) -> None:
    """Make the side table of tags say just these."""
    tx.run(delete(deployment_tag).where(deployment_tag.c.deployment_id == id))
    tx.run_many(_INSERT_TAG, [{"tag": t, "deployment_id": id} for t in tags])


def delete_deployment_row(tx: Transaction, id: UUID) -> bool:
    """Delete a deployment and its tags; False when it is not there."""
    tx.run(delete(deployment_tag).where(deployment_tag.c.deployment_id == id))
    return bool(tx.run(delete(deployment).where(deployment.c.id == id)))
