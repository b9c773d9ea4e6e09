"""Work pools, their workers and their due runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Fields, given, many, nothing, number, one, quoted
from penstock.sdk.wire import DEFAULT_TIMEOUT_SECONDS, Call

if TYPE_CHECKING:
    from penstock.contract.rest.work_pools import (
        WorkerFlowRunResponse,
        WorkerResponse,
        WorkPoolConcurrencyStatus,
        WorkPoolResponse,
    )

WORK_POOL = ("work_pools", "WorkPoolResponse")
WORKER = ("work_pools", "WorkerResponse")
WORKER_FLOW_RUN = ("work_pools", "WorkerFlowRunResponse")


def create_work_pool(
    name: str, *, type: str | None = None, base_job_template: Fields | None = None, **fields: Any
) -> Call[WorkPoolResponse]:
    """Creates a work pool; its `default` queue comes with it."""
    body = given(name=name, type=type, base_job_template=base_job_template, **fields)
    return Call("POST", "/work_pools/", one(*WORK_POOL), body, repeatable=False)


def read_work_pool(name: str) -> Call[WorkPoolResponse]:
    """The work pool with this name."""
    return Call("GET", f"/work_pools/{quoted(name)}", one(*WORK_POOL))


def read_work_pools(**filter_body: Any) -> Call[list[WorkPoolResponse]]:
    """The work pools that match `work_pools`, `limit`, `offset`."""
    return Call("POST", "/work_pools/filter", many(*WORK_POOL), filter_body)


def count_work_pools(**filter_body: Any) -> Call[int]:
    """How many work pools match."""
    return Call("POST", "/work_pools/count", number, filter_body)


def update_work_pool(name: str, **fields: Any) -> Call[None]:
    """Changes the given fields of the work pool (`is_paused`, `concurrency_limit`, ...)."""
    return Call("PATCH", f"/work_pools/{quoted(name)}", nothing, fields)


def delete_work_pool(name: str) -> Call[None]:
    """Deletes the work pool with its queues and workers."""
    return Call("DELETE", f"/work_pools/{quoted(name)}", nothing)


def read_workers(work_pool_name: str, **filter_body: Any) -> Call[list[WorkerResponse]]:
    """The workers that have polled the pool."""
    path = f"/work_pools/{quoted(work_pool_name)}/workers/filter"
    return Call("POST", path, many(*WORKER), filter_body)


def send_worker_heartbeat(
    work_pool_name: str, name: str, heartbeat_interval_seconds: float | None = None
) -> Call[None]:
    """Says that the worker is alive."""
    path = f"/work_pools/{quoted(work_pool_name)}/workers/heartbeat"
    body = given(name=name, heartbeat_interval_seconds=heartbeat_interval_seconds)
    return Call("POST", path, nothing, body)


def delete_worker(work_pool_name: str, name: str) -> Call[None]:
    """Forgets the worker."""
    return Call("DELETE", f"/work_pools/{quoted(work_pool_name)}/workers/{quoted(name)}", nothing)


def get_scheduled_flow_runs(
    work_pool_name: str,
    *,
    work_queue_names: Sequence[str] | None = None,
    scheduled_before: datetime | None = None,
    limit: int | None = None,
    wait_seconds: float | None = None,
) -> Call[list[WorkerFlowRunResponse]]:
    """The pool's due runs, most urgent first; with `wait_seconds` waits until there is one."""
    waited = wait_seconds or 0
    return Call(
        "POST",
        f"/work_pools/{quoted(work_pool_name)}/get_scheduled_flow_runs",
        many(*WORKER_FLOW_RUN),
        given(work_queue_names=work_queue_names, scheduled_before=scheduled_before, limit=limit),
        headers={"Prefer": f"wait={waited:g}"} if waited else {},
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS + waited,
    )


def read_work_pool_concurrency_status(name: str, **page: Any) -> Call[WorkPoolConcurrencyStatus]:
    """Which runs hold the pool's slots, queue by queue (`page`, `limit`, `flow_run_limit`)."""
    path = f"/work_pools/{quoted(name)}/concurrency_status"
    return Call("POST", path, one("work_pools", "WorkPoolConcurrencyStatus"), page)
