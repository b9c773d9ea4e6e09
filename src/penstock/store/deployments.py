"""Statements of deployments, and rows <-> shape."""

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from penstock.store.statements import Row, Statement
from penstock.store.tables import deployment, work_pool, work_queue
from penstock.store.transaction import Transaction

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
