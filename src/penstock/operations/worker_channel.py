"""What happens to a pool when a worker connects to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.contract.rest.work_pools import WorkPoolCreate
from penstock.contract.rest.worker_channel import WorkerHello
from penstock.core import documents
from penstock.core.errors import NotFound
from penstock.core.parameter_schemas import check_job_template
from penstock.operations.slow_validation import problems_of
from penstock.operations.work_pools import (
    create_work_pool,
    prepare_work_pool,
    record_heartbeat,
    required_pool,
)
from penstock.store import work_pools as store
from penstock.store.statements import Row
from penstock.store.transaction import Stale, Transaction
from penstock.store.work_queues import select_queues_of_pool


@dataclass(slots=True)
class Prepared:
    """What is to be done to the pool."""

    #: the pool to make; None when there is one
    new: WorkPoolCreate | None = None
    #: the pool's template is empty, and this is the worker's
    template: str | None = None


@dataclass(slots=True)
class Greeted:
    """The pool that a worker has connected to, and the queues it serves."""

    pool: dict[str, Any]
    queues: list[Row]


def prepare_greeting(tx: Transaction, pool_name: str, hello: WorkerHello) -> Prepared:
    """Check what a worker brings for its pool.

    Raises NotFound for a pool that is not to be made, Forbidden for a reserved name, InvalidInput
    for a template.
    """
    pool = store.select_work_pool(tx, pool_name)
    template = hello.default_base_job_template
    if pool is None:
        if not hello.create_pool_if_not_found:
            raise NotFound(f"There is no work pool {pool_name!r}")
        new = WorkPoolCreate(name=pool_name, type=hello.worker_type, base_job_template=template)
        return Prepared(new=prepare_work_pool(tx, new))
    if not template or pool.base_job_template != documents.EMPTY_OBJECT:
        return Prepared()
    check_job_template(template, problems_of)
    return Prepared(template=documents.dump(template))


def greet_worker(
    tx: Transaction, prepared: Prepared, pool_name: str, hello: WorkerHello, now: datetime
) -> Greeted:
    """Note that the worker is alive; its pool is there, READY and has a template.

    Raises NotFound for an unknown queue.
    """
    if prepared.new is not None:
        if store.select_work_pool(tx, pool_name) is not None:
            raise Stale  # another worker was faster
        create_work_pool(tx, prepared.new, now)
    pool = required_pool(tx, pool_name)
    queues = _queues(select_queues_of_pool(tx, pool.id), hello.work_queue_names)
    if prepared.template is not None and pool.base_job_template == documents.EMPTY_OBJECT:
        changes = {"updated": now, "base_job_template": prepared.template}
        store.update_work_pool(tx, pool.id, changes)
        store.touch_deployments_of_pool(tx, pool.id)
    record_heartbeat(tx, pool_name, hello.worker_name, hello.heartbeat_interval_seconds, now)
    shape = store.select_work_pool_shape(tx, pool_name)
    assert shape is not None
    return Greeted(shape, queues)


def _queues(queues: list[Row], names: list[str]) -> list[Row]:
    if not names:
        return queues
    by_name = {q.name: q for q in queues}
    for name in names:
        if name not in by_name:
            raise NotFound(f"The pool has no work queue {name!r}")
    return [by_name[name] for name in dict.fromkeys(names)]
