"""Lists and counts of deployments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from penstock.contract.enums import DeploymentSort
from penstock.store.deployments import SELECT_DEPLOYMENTS, deployment_shape
from penstock.store.filter_scopes import Scope, deployment_conditions
from penstock.store.schedules import select_schedule_shapes
from penstock.store.tables import deployment
from penstock.store.transaction import Transaction

_KEYS: dict[DeploymentSort, list[Any]] = {
    DeploymentSort.CREATED_DESC: [deployment.c.created.desc(), deployment.c.id.desc()],
    DeploymentSort.UPDATED_DESC: [deployment.c.updated.desc(), deployment.c.id.desc()],
    DeploymentSort.NAME_ASC: [deployment.c.name.asc(), deployment.c.id],
    DeploymentSort.NAME_DESC: [deployment.c.name.desc(), deployment.c.id],
}


def page_deployments(
    tx: Transaction, scope: Scope, sort: DeploymentSort, limit: int, offset: int, now: datetime
) -> list[dict[str, Any]]:
    """One page of the deployments in that scope."""
    if limit == 0:
        return []
    query = SELECT_DEPLOYMENTS.where(*deployment_conditions(scope)).order_by(*_KEYS[sort])
    rows = tx.rows(query.limit(limit).offset(offset))
    schedules = select_schedule_shapes(tx, [row.id for row in rows])
    return [deployment_shape(row, schedules[row.id], now) for row in rows]


def select_deployment_ids(tx: Transaction, scope: Scope, limit: int) -> list[UUID]:
    """Ids of the first deployments in that scope, by name."""
    query = select(deployment.c.id).where(*deployment_conditions(scope))
    return [row.id for row in tx.rows(query.order_by(deployment.c.name).limit(limit))]


def count_deployments(tx: Transaction, scope: Scope) -> int:
    """How many deployments are in that scope."""
    count = select(func.count().label("deployments")).select_from(deployment)
    return int(tx.value(count.where(*deployment_conditions(scope))))
