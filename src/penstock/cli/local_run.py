"""`penstock run --path`, `--module` and `--execute`: the flow runs in this process, recorded on the
server.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.cli.flow_files import find_flow_in
from penstock.cli.invocation import Invocation, fail
from penstock.cli.output import show_json, show_seconds

if TYPE_CHECKING:
    from uuid import UUID

    from penstock.cli.run import RunRequest
    from penstock.contract.rest.deployments import DeploymentResponse
    from penstock.sdk.flows import Flow


def run_here(invocation: Invocation, request: RunRequest, parameters: dict[str, Any]) -> int:
    """Create a run of the flow and execute it; 0 if it completed, 130 after Ctrl-C, else 1."""
    from penstock.sdk.parameters import recordable

    flow = find_flow_in(request.path, request.module, request.name)
    client = invocation.client
    given: dict[str, Any] = {
        "flow_run_name": request.run_name,
        "context": dict(request.context) or None,
        "tags": sorted({*flow.tags, *request.tags}) or None,
    }
    bound = flow.bind_stored(parameters)
    flow_run_id = client.create_flow_run(
        flow_id=client.create_flow(flow.name),
        parameters=recordable(bound),
        **{key: value for key, value in given.items() if value is not None},
    )
    return _execute(invocation, request, flow, flow_run_id)


def execute_here(
    invocation: Invocation,
    request: RunRequest,
    deployment: DeploymentResponse,
    given: dict[str, Any],
) -> int:
    """Create a run of the deployment that no worker takes, and execute it; as `run_here`."""
    from penstock.sdk.entrypoints import load_flow

    if not deployment.entrypoint:
        fail(
            f"The deployment {deployment.name!r} does not say where its code is",
            "deploy it again: penstock deploy FILE.py:FLOW",
        )
    flow = load_flow(deployment.entrypoint, deployment.path)
    # Workers take what is SCHEDULED.
    state = {"type": "PENDING", "message": "Executed by `penstock run --execute`"}
    flow_run_id = invocation.client.create_flow_run(
        deployment_id=deployment.id, state=state, **given
    )
    return _execute(invocation, request, flow, flow_run_id)


def _execute(
    invocation: Invocation, request: RunRequest, flow: Flow[Any, Any], flow_run_id: UUID
) -> int:
    from penstock.sdk.run import execute_flow_run

    client = invocation.client
    run_name = request.run_name
    if run_name is not None and flow.flow_run_name is not None:
        # The name given here wins over the one that the flow gives its runs.
        flow = flow.with_options(flow_run_name=lambda: run_name)
    if request.quiet:
        invocation.say(str(flow_run_id))
        invocation.out.flush()
    with _outputs(request):
        state = execute_flow_run(flow, flow_run_id, client)
    run = client.read_flow_run(flow_run_id)
    if request.output == "json":
        show_json(invocation, run)
    elif not request.quiet:
        took = show_seconds(run.total_run_time)
        why = f": {state.message}" if state.message and not state.is_completed() else ""
        invocation.say(f"Flow run {run.name!r} ({run.id}) ended {state.name} after {took}{why}")
    if isinstance(state.data, KeyboardInterrupt):
        return 130
    return 0 if state.is_completed() else 1


@contextlib.contextmanager
def _outputs(request: RunRequest) -> Iterator[None]:
    """Where the flow's own output goes: stdout, unless that is promised to the id or to JSON.

    A handler at the root keeps the SDK from printing log lines on stderr.
    """
    silence = logging.NullHandler()
    with contextlib.ExitStack() as stack:
        if request.quiet or request.output == "json":
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        if request.quiet or request.no_logs:
            logging.getLogger().addHandler(silence)
            stack.callback(logging.getLogger().removeHandler, silence)
        yield
