"""Events that tell what happened to work pools, work queues and the deployments that use them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.core.ids import new_id
from penstock.operations.deployment_events import tell_deployment
from penstock.store.outbox import tell
from penstock.store.statements import Row
from penstock.store.transaction import Transaction
from penstock.store.work_queues import select_deployments_not_polled, select_pools_of_queues


def tell_work_pool(tx: Transaction, pool: Any, what: str, now: datetime) -> None:
    """Tell `prefect.work-pool.created`, `.ready` and so on; `pool` has `id`, `name`, `type`."""
    _tell(tx, f"prefect.work-pool.{what}", _pool(pool), [], now)


def tell_work_queue(tx: Transaction, queue: Any, pool: Any, what: str, now: datetime) -> None:
    """Tell `prefect.work-queue.created`, `.ready` and so on; both have `id` and `name`."""
    resource = {
        "prefect.resource.id": f"prefect.work-queue.{queue.id}",
        "prefect.resource.name": queue.name,
    }
    related = [_pool(pool) | {"prefect.resource.role": "work-pool"}]
    _tell(tx, f"prefect.work-queue.{what}", resource, related, now)


def tell_queues_and_deployments(
    tx: Transaction, queues: Collection[Row], what: str, now: datetime
) -> None:
    """Tell `ready` or `not-ready` of queues, and of the deployments that depend on them."""
    if not queues:
        return
    ids = [q.id for q in queues]
    pools: Mapping[UUID, Row] = select_pools_of_queues(tx, ids)
    for queue in queues:
        if queue.work_pool_id in pools:
            tell_work_queue(tx, queue, pools[queue.work_pool_id], what, now)
    for id in select_deployments_not_polled(tx, ids, now):
        tell_deployment(tx, id, what, now)


def _pool(pool: Any) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.work-pool.{pool.id}",
        "prefect.resource.name": pool.name,
        "prefect.work-pool.type": pool.type,
    }


def _tell(
    tx: Transaction,
    name: str,
    resource: dict[str, str],
    related: list[dict[str, str]],
    now: datetime,
) -> None:
    event = {
        "id": new_id(now),
        "occurred": now,
        "event": name,
        "resource": resource,
        "related": related,
        "payload": {},
        "follows": None,
    }
    tell(tx, "event", event)
