"""Which deployment `penstock run` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli.invocation import fail
from penstock.cli.lookup import as_uuid, find_deployment, only

if TYPE_CHECKING:
    from uuid import UUID

    from penstock.cli.run import RunRequest
    from penstock.contract.rest.deployments import DeploymentResponse
    from penstock.sdk.client import Client


def find_target(client: Client, request: RunRequest) -> DeploymentResponse:
    """The deployment that the request names in one of its ways; an error if it is not one."""
    if request.id is not None:
        return _by_id(client, request.id)
    if request.name is not None:
        return _by_name(client, request.name, request.project)
    return find_deployment(client, request.deployment or "")


def _by_id(client: Client, text: str) -> DeploymentResponse:
    """A deployment's id, else the id of a flow that has one deployment."""
    from penstock.sdk.errors import NotFound

    wanted = as_uuid(text)
    if wanted is None:
        fail(f"{text!r} is not a UUID", "give an id, or the name without --id")
    try:
        return client.read_deployment(wanted)
    except NotFound:
        pass
    try:
        flow = client.read_flow(wanted)
    except NotFound:
        fail(
            f"No deployment, flow or flow group has the id {wanted}",
            "see the ids with: penstock deployment ls",
        )
    return _of_flow(client, flow.id, flow.name)


def _of_flow(client: Client, flow_id: UUID, name: str) -> DeploymentResponse:
    found = client.read_deployments(flows={"id": {"any_": [str(flow_id)]}}, sort="NAME_ASC")
    return only(client, f"flow {name!r}", found) or fail(
        f"Flow {name!r} has no deployment",
        f"deploy it first: penstock deploy FILE.py:{name} --name NAME --pool POOL",
    )


def _by_name(client: Client, name: str, project: str | None) -> DeploymentResponse:
    """A deployment of the flow with this name, or one that bears the name itself.

    A project is a deployment's name: flows registered by 1.x clients are stored like that.
    """
    of_flow = {"flows": {"name": {"any_": [name]}}}
    if project is not None:
        named = {"name": {"any_": [project]}}
        found = client.read_deployments(**of_flow, deployments=named)
    else:
        found = client.read_deployments(**of_flow, sort="NAME_ASC")
        known = {item.id for item in found}
        same = client.read_deployments(deployments={"name": {"any_": [name]}}, sort="NAME_ASC")
        found = [*found, *(item for item in same if item.id not in known)]
    wanted = f"{name!r}" if project is None else f"{name!r} in project {project!r}"
    return only(client, wanted, found) or fail(
        f"Nothing that can be run is named {wanted}", "see what can: penstock deployment ls"
    )
