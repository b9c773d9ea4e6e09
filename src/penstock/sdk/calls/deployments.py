"""Deployments and their schedules."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import (
    Fields,
    Id,
    deleted_ids,
    given,
    id_of,
    many,
    nothing,
    number,
    one,
    quoted,
)
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.contract.rest.deployments import DeploymentPaginationResponse, DeploymentResponse
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.contract.rest.schedules import DeploymentSchedule
    from penstock.contract.rest.work_queues import WorkQueueResponse

DEPLOYMENT = ("deployments", "DeploymentResponse")
SCHEDULE = ("schedules", "DeploymentSchedule")


def create_deployment(*, name: str, flow_id: Id, **fields: Any) -> Call[uuid.UUID]:
    """Creates the flow's deployment, or updates the one with this name; gives its id."""
    return Call("POST", "/deployments/", id_of, {"name": name, "flow_id": flow_id, **fields})


def read_deployment(deployment_id: Id) -> Call[DeploymentResponse]:
    """The deployment with this id."""
    return Call("GET", f"/deployments/{deployment_id}", one(*DEPLOYMENT))


def read_deployment_by_name(flow_name: str, deployment_name: str) -> Call[DeploymentResponse]:
    """The deployment `flow_name/deployment_name`."""
    path = f"/deployments/name/{quoted(flow_name)}/{quoted(deployment_name)}"
    return Call("GET", path, one(*DEPLOYMENT))


def read_deployments(**filter_body: Any) -> Call[list[DeploymentResponse]]:
    """The deployments that match `deployments`, `flows`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/deployments/filter", many(*DEPLOYMENT), filter_body)


def count_deployments(**filter_body: Any) -> Call[int]:
    """How many deployments match."""
    return Call("POST", "/deployments/count", number, filter_body)


def update_deployment(deployment_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the deployment."""
    return Call("PATCH", f"/deployments/{deployment_id}", nothing, fields)


def delete_deployment(deployment_id: Id) -> Call[None]:
    """Deletes the deployment and its runs that never started."""
    return Call("DELETE", f"/deployments/{deployment_id}", nothing)


def pause_deployment(deployment_id: Id) -> Call[None]:
    """Stops the deployment's schedules."""
    return Call("POST", f"/deployments/{deployment_id}/pause_deployment", nothing)


def resume_deployment(deployment_id: Id) -> Call[None]:
    """Starts the deployment's schedules again."""
    return Call("POST", f"/deployments/{deployment_id}/resume_deployment", nothing)


def read_deployment_schedules(deployment_id: Id) -> Call[list[DeploymentSchedule]]:
    """The deployment's schedules."""
    return Call("GET", f"/deployments/{deployment_id}/schedules", many(*SCHEDULE))


def create_deployment_schedules(
    deployment_id: Id, schedules: Sequence[Fields]
) -> Call[list[DeploymentSchedule]]:
    """Adds schedules to the deployment."""
    path = f"/deployments/{deployment_id}/schedules"
    return Call("POST", path, many(*SCHEDULE), schedules, repeatable=False)


def update_deployment_schedule(deployment_id: Id, schedule_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of a schedule."""
    return Call("PATCH", f"/deployments/{deployment_id}/schedules/{schedule_id}", nothing, fields)


def delete_deployment_schedule(deployment_id: Id, schedule_id: Id) -> Call[None]:
    """Removes a schedule."""
    return Call("DELETE", f"/deployments/{deployment_id}/schedules/{schedule_id}", nothing)


def schedule_deployment(deployment_id: Id, **limits: Any) -> Call[None]:
    """Creates the runs its schedules ask for, now and not at the scheduler's next round.

    `start_time` and `end_time` bound their times; `min_time`, `min_runs`, `max_runs` how many.
    """
    return Call("POST", f"/deployments/{deployment_id}/schedule", nothing, limits)


def paginate_deployments(**filter_body: Any) -> Call[DeploymentPaginationResponse]:
    """One `page` of the deployments that match, with the count of all."""
    parse = one("deployments", "DeploymentPaginationResponse")
    return Call("POST", "/deployments/paginate", parse, filter_body)


def bulk_delete_deployments(**filter_body: Any) -> Call[list[uuid.UUID]]:
    """Deletes up to `limit` deployments that match `deployments`; gives their ids."""
    return Call("POST", "/deployments/bulk_delete", deleted_ids, filter_body, repeatable=False)


def work_queue_check_for_deployment(deployment_id: Id) -> Call[list[WorkQueueResponse]]:
    """The queues that pick the deployment's runs by a filter: deprecated, and never any here."""
    path = f"/deployments/{deployment_id}/work_queue_check"
    return Call("GET", path, many("work_queues", "WorkQueueResponse"))


def get_scheduled_flow_runs_for_deployments(
    deployment_ids: Sequence[Id],
    *,
    scheduled_before: datetime | None = None,
    limit: int | None = None,
) -> Call[list[FlowRunResponse]]:
    """The scheduled runs of these deployments, by time: for a process that serves them."""
    body = given(scheduled_before=scheduled_before, limit=limit)
    return Call(
        "POST",
        "/deployments/get_scheduled_flow_runs",
        many("flow_runs", "FlowRunResponse"),
        {"deployment_ids": deployment_ids, **body},
    )
