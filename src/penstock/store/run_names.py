"""The names of runs, and those that events of runs carry."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from penstock.core.run_events import Names, QueueNames
from penstock.store.tables import deployment, flow, flow_run, work_pool, work_queue
from penstock.store.transaction import Transaction


def select_names(
    tx: Transaction, flows: Iterable[UUID], deployments: Iterable[UUID], queues: Iterable[UUID]
) -> Names:
    """The names of these; what is no longer there is left out."""
    names = Names()
    if ids := list(flows):
        found = select(flow.c.id, flow.c.name).where(flow.c.id.in_(ids))
        names.flows = {r.id: r.name for r in tx.rows(found)}
    if ids := list(deployments):
        found = select(deployment.c.id, deployment.c.name).where(deployment.c.id.in_(ids))
        names.deployments = {r.id: r.name for r in tx.rows(found)}
    if ids := list(queues):
        of_pools = (
            select(
                work_queue.c.id,
                work_queue.c.name,
                work_pool.c.id.label("pool_id"),
                work_pool.c.name.label("pool_name"),
                work_pool.c.type.label("pool_type"),
            )
            .join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
            .where(work_queue.c.id.in_(ids))
        )
        names.queues = {
            r.id: QueueNames(r.name, r.pool_id, r.pool_name, r.pool_type) for r in tx.rows(of_pools)
        }
    return names


def select_flow_run_name(tx: Transaction, id: UUID) -> str | None:
    """A flow run's name; None when there is no such run."""
    name: str | None = tx.value(select(flow_run.c.name).where(flow_run.c.id == id))
    return name
