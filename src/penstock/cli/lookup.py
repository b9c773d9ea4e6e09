"""Finding the thing that an argument means: every command takes a name where it takes an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.cli.invocation import fail

if TYPE_CHECKING:
    from penstock.contract.rest.deployments import DeploymentResponse
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.contract.rest.flows import Flow
    from penstock.sdk.client import Client

#: How many matches an error names before it says that there are more.
_NAMED = 10


def as_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells, else None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def find_flow(client: Client, flow: str) -> Flow:
    """The flow with this id or name."""
    from penstock.sdk.errors import NotFound

    try:
        flow_id = as_uuid(flow)
        return client.read_flow(flow_id) if flow_id else client.read_flow_by_name(flow)
    except NotFound:
        fail(f"There is no flow {flow!r}", "see the flows with: penstock flow ls")


def find_deployment(client: Client, deployment: str) -> DeploymentResponse:
    """The deployment with this id, `flow/deployment` name, or bare name if only one bears it."""
    from penstock.sdk.errors import NotFound

    try:
        if deployment_id := as_uuid(deployment):
            return client.read_deployment(deployment_id)
        flow_name, slash, name = deployment.partition("/")
        if slash and flow_name and name:
            return client.read_deployment_by_name(flow_name, name)
    except NotFound:
        _no_deployment(deployment)
    named = client.read_deployments(deployments={"name": {"any_": [deployment]}})
    return only(client, f"deployment {deployment!r}", named) or _no_deployment(deployment)


def _no_deployment(deployment: str) -> Any:
    as_name = "" if "/" in deployment else "write FLOW/DEPLOYMENT, or "
    fail(
        f"There is no deployment {deployment!r}",
        f"{as_name}see the deployments with: penstock deployment ls",
    )


def only(
    client: Client, wanted: str, found: Sequence[DeploymentResponse]
) -> DeploymentResponse | None:
    """The one deployment in `found`, None of none; an error that lists them if there are more."""
    if len(found) > 1:
        flows = read_flow_names(client, [item.flow_id for item in found])
        listed = [f"{flows.get(item.flow_id, '?')}/{item.name} ({item.id})" for item in found]
        fail(f"{len(found)} matches for {wanted}: {_enumerate(listed)}", "name one by its id")
    return found[0] if found else None


def find_flow_run(client: Client, flow_run: str) -> FlowRunResponse:
    """The flow run with this id, or with this name if only one bears it."""
    from penstock.sdk.errors import NotFound

    remedy = "see the latest runs with: penstock flow-run ls"
    if flow_run_id := as_uuid(flow_run):
        try:
            return client.read_flow_run(flow_run_id)
        except NotFound:
            fail(f"There is no flow run {flow_run}", remedy)
    found = client.read_flow_runs(
        flow_runs={"name": {"any_": [flow_run]}}, sort="EXPECTED_START_TIME_DESC"
    )
    if not found:
        fail(f"There is no flow run {flow_run!r}", remedy)
    if len(found) > 1:
        listed = [f"{run.id} ({run.state_name or 'no state'})" for run in found]
        fail(
            f"{len(found)} flow runs are named {flow_run!r}: {_enumerate(listed)}", "give one's id"
        )
    return found[0]


def read_flow_names(client: Client, flow_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The names of these flows by id, read in one call per 200."""
    wanted = list(dict.fromkeys(flow_ids))
    names: dict[UUID, str] = {}
    for start in range(0, len(wanted), 200):
        page = [str(flow_id) for flow_id in wanted[start : start + 200]]
        for flow in client.read_flows(flows={"id": {"any_": page}}, limit=200):
            names[flow.id] = flow.name
    return names


def read_deployment_name(client: Client, deployment: DeploymentResponse) -> str:
    """`flow/deployment`, as one types it."""
    names = read_flow_names(client, [deployment.flow_id])
    return f"{names.get(deployment.flow_id, '?')}/{deployment.name}"


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
