"""Makes pools without workers, and queues and deployments that nobody polls, NOT_READY."""

from datetime import datetime, timedelta
from functools import partial

from penstock.operations.deployment_events import tell_deployment
from penstock.operations.work_pool_events import tell_queues_and_deployments, tell_work_pool
from penstock.store.database import Database
from penstock.store.transaction import Transaction
from penstock.store.work_pools import mark_abandoned_pools, select_abandoned_pools
from penstock.store.work_queues import (
    mark_forgotten_queues,
    select_deployments_forgotten,
    select_forgotten_queues,
)

#: how often this runs; a deployment's status has no column, so a pass tells of those whose time
#: has run out since the pass before
EVERY = timedelta(seconds=15)


async def watch_workers(db: Database, now: datetime) -> int:
    """Mark what nobody serves any more, with events; how many pools, queues and deployments."""
    if not await db.read(partial(_is_due, now=now)):
        return 0
    return await db.write(partial(mark_not_ready, now=now))


def _is_due(tx: Transaction, now: datetime) -> bool:
    return (
        select_abandoned_pools(tx, now)
        or select_forgotten_queues(tx, now)
        or bool(select_deployments_forgotten(tx, now - EVERY, now))
    )


def mark_not_ready(tx: Transaction, now: datetime) -> int:
    """One pass, as a unit of work."""
    # First: those on a queue that is forgotten in this pass are told with their queue.
    deployments = select_deployments_forgotten(tx, now - EVERY, now)
    for id in deployments:
        tell_deployment(tx, id, "not-ready", now)
    pools = mark_abandoned_pools(tx, now)
    for pool in pools:
        tell_work_pool(tx, pool, "not-ready", now)
    queues = mark_forgotten_queues(tx, now)
    tell_queues_and_deployments(tx, queues, "not-ready", now)
    return len(pools) + len(queues) + len(deployments)
