"""Deployments from a local folder, and runs of deployments."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.sdk.connection import shared_client
from penstock.sdk.context import current_flow_run
from penstock.sdk.errors import EntrypointError
from penstock.sdk.flow_engine import flow_id
from penstock.sdk.states import FINAL_TYPES
from penstock.sdk.steps import Do, Sleep, Steps, run_awaiting, run_blocking
from penstock.sdk.subflows import parent_task_run_id

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow

FIRST_POLL_SECONDS = 0.1


def deploy(
    flow: Flow[Any, Any],
    name: str,
    *,
    work_pool_name: str | None = None,
    work_queue_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    cron: str | None = None,
    interval: float | timedelta | None = None,
    rrule: str | None = None,
    timezone: str | None = None,
    schedules: Sequence[Mapping[str, Any]] | None = None,
    tags: Sequence[str] | None = None,
    labels: Mapping[str, Any] | None = None,
    description: str | None = None,
    version: str | None = None,
    job_variables: Mapping[str, Any] | None = None,
    paused: bool = False,
    enforce_parameter_schema: bool = True,
    concurrency_limit: int | None = None,
    path: str | Path | None = None,
    client: Client | None = None,
) -> UUID:
    """Creates the deployment `flow.name/name`, or replaces it, and gives its id.

    A worker finds the code in `path` (the folder of the flow's file by default) on its own
    machine. `interval` is a timedelta or seconds, `rrule` a recurrence rule (RFC 5545);
    `schedules` takes the wire's schedule objects, for more than one. Runs inherit the `labels`.
    Raises EntrypointError when the flow is not at the top of a file.
    """
    folder, entrypoint = locate(flow, path)
    fields: dict[str, Any] = {
        "work_pool_name": work_pool_name,
        "work_queue_name": work_queue_name,
        "parameters": parameters,
        "tags": tags if tags is not None else flow.tags,
        "labels": labels,
        "description": description or flow.description,
        "version": version or flow.version,
        "job_variables": job_variables,
        "concurrency_limit": concurrency_limit,
    }
    client = client or shared_client()
    return client.create_deployment(
        name=name,
        flow_id=flow_id(flow, client),
        path=folder,
        entrypoint=entrypoint,
        paused=paused,
        enforce_parameter_schema=enforce_parameter_schema,
        parameter_openapi_schema=flow.parameter_schema(),
        schedules=_schedules(cron, interval, rrule, timezone, schedules),
        **{key: value for key, value in fields.items() if value is not None},
    )


def _schedules(
    cron: str | None,
    interval: float | timedelta | None,
    rrule: str | None,
    timezone: str | None,
    schedules: Sequence[Mapping[str, Any]] | None,
) -> list[dict[str, Any]]:
    if sum(given is not None for given in (cron, interval, rrule, schedules)) > 1:
        raise ValueError("give one of cron, interval, rrule and schedules")
    if schedules is not None:
        return [
            dict(entry) if "schedule" in entry else {"schedule": dict(entry)} for entry in schedules
        ]
    if cron is None and interval is None and rrule is None:
        return []
    schedule: dict[str, Any] = {"cron": cron} if rrule is None else {"rrule": rrule}
    if interval is not None:
        seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
        schedule = {"interval": seconds}
    if timezone is not None:
        schedule["timezone"] = timezone
    return [{"schedule": schedule}]


def locate(flow: Flow[Any, Any], path: str | Path | None = None) -> tuple[str, str]:
    """The folder of a flow and its entrypoint in there, `file.py:name`."""
    source = inspect.getsourcefile(inspect.unwrap(flow.function))
    if source is None or not Path(source).is_file():
        raise EntrypointError(f"flow '{flow.name}' is not in a file: a worker could not find it")
    file = Path(source).absolute()
    folder = Path(path).absolute() if path is not None else file.parent
    if not file.is_relative_to(folder):
        raise EntrypointError(f"{file} is not in {folder}")
    return str(folder), f"{file.relative_to(folder)}:{_attribute(flow)}"


def _attribute(flow: Flow[Any, Any]) -> str:
    module = sys.modules.get(flow.function.__module__)
    for name, value in vars(module).items() if module else ():
        if value is flow:
            return name
    qualified = flow.function.__qualname__
    if "<locals>" in qualified:
        raise EntrypointError(f"flow '{flow.name}' must stand at the top of its file")
    return qualified


def run_deployment(
    name: str | UUID,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
    poll_interval: float = 2.0,
    flow_run_name: str | None = None,
    tags: Sequence[str] | None = None,
    idempotency_key: str | None = None,
    scheduled_start_time: datetime | None = None,
    job_variables: Mapping[str, Any] | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool = True,
    client: Client | None = None,
) -> FlowRunResponse:
    """Creates a run of the deployment `flow/deployment` (or id), waits for its end and gives it.

    After `timeout_seconds` gives the run as it is then; 0 does not wait. `poll_interval` is the
    longest time in seconds between two looks. In a flow the run is a subflow: a task run stands
    for it, and when the flow run is cancelled so is it; `as_subflow=False` makes it a run of its
    own.
    """
    fields: dict[str, Any] = {
        "parameters": parameters,
        "flow_run_name": flow_run_name,
        "scheduled_start_time": scheduled_start_time,
        "idempotency_key": idempotency_key,
        "tags": tags,
        "job_variables": job_variables,
        "work_queue_name": work_queue_name,
    }
    steps = _run_deployment_steps(
        name, fields, as_subflow, timeout_seconds, poll_interval, client or shared_client()
    )
    return run_blocking(steps)


async def arun_deployment(
    name: str | UUID,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
    poll_interval: float = 2.0,
    flow_run_name: str | None = None,
    tags: Sequence[str] | None = None,
    idempotency_key: str | None = None,
    scheduled_start_time: datetime | None = None,
    job_variables: Mapping[str, Any] | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool = True,
    client: Client | None = None,
) -> FlowRunResponse:
    """As `run_deployment`, for async flows and programs; `client` is a blocking one."""
    import asyncio

    fields: dict[str, Any] = {
        "parameters": parameters,
        "flow_run_name": flow_run_name,
        "scheduled_start_time": scheduled_start_time,
        "idempotency_key": idempotency_key,
        "tags": tags,
        "job_variables": job_variables,
        "work_queue_name": work_queue_name,
    }
    shared = client if client is not None else await asyncio.to_thread(shared_client)
    steps = _run_deployment_steps(name, fields, as_subflow, timeout_seconds, poll_interval, shared)
    return await run_awaiting(steps)


def _run_deployment_steps(
    name: str | UUID,
    fields: dict[str, Any],
    as_subflow: bool,
    timeout_seconds: float | None,
    poll_interval: float,
    client: Client,
) -> Steps[FlowRunResponse]:
    def create() -> UUID:
        deployment_id = _deployment_id(client, name)
        parent = None
        if as_subflow and current_flow_run.get() is not None:
            parent = parent_task_run_id(_subflow_name(client, name))
        return client.create_flow_run(
            deployment_id=deployment_id, parent_task_run_id=parent, **fields
        )

    run_id = yield Do(create)
    return (yield from _wait_steps(client, run_id, timeout_seconds, poll_interval))


def _subflow_name(client: Client, name: str | UUID) -> str:
    if isinstance(name, str):
        return name.partition("/")[0]
    return client.read_flow(client.read_deployment(name).flow_id).name


def wait_for_flow_run(
    client: Client,
    flow_run_id: UUID,
    timeout_seconds: float | None = None,
    poll_interval: float = 2.0,
) -> FlowRunResponse:
    """The run when it has ended, or as it is after `timeout_seconds`."""
    return run_blocking(_wait_steps(client, flow_run_id, timeout_seconds, poll_interval))


def _wait_steps(
    client: Client, flow_run_id: UUID, timeout_seconds: float | None, poll_interval: float
) -> Steps[FlowRunResponse]:
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    pause = min(FIRST_POLL_SECONDS, poll_interval)
    while True:
        run: FlowRunResponse = yield Do(lambda: client.read_flow_run(flow_run_id))
        left = None if deadline is None else deadline - time.monotonic()
        if run.state_type in FINAL_TYPES or (left is not None and left <= 0):
            return run
        yield Sleep(pause if left is None else min(pause, left))
        pause = min(pause * 1.5, poll_interval)


def _deployment_id(client: Client, name: str | UUID) -> UUID:
    if isinstance(name, UUID):
        return name
    flow_name, slash, deployment_name = name.partition("/")
    if not slash:
        raise ValueError(f"'{name}' names no deployment: write flow/deployment")
    return client.read_deployment_by_name(flow_name, deployment_name).id
