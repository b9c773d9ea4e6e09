"""`penstock flow-run`: what ran, what runs, and what it said."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.lookup import find_deployment, find_flow, find_flow_run, read_flow_names
from penstock.cli.output import (
    Column,
    show_change,
    show_details,
    show_json,
    show_list,
    show_seconds,
)
from penstock.cli.pages import read_pages

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRunResponse

STATE_TYPES = (
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "CRASHED",
    "PAUSED",
    "CANCELLING",
)
#: a run that starts within this is shown among those that have started
SOON = timedelta(minutes=1)
LOG_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


@click.group("flow-run")
def flow_run() -> None:
    """List, inspect, cancel, resume and delete flow runs; read their logs."""


@flow_run.command("ls")
@click.option(
    "--state",
    "-s",
    "states",
    multiple=True,
    metavar="STATE",
    help="Only runs in this state, by type (failed) or name (Late). Repeatable: any of them.",
)
@click.option("--flow", metavar="FLOW", help="Only this flow's, by name or id.")
@click.option("--deployment", metavar="DEPLOYMENT", help="Only this deployment's.")
@options.tag("Only runs with this tag. Repeatable: all of them.")
@click.option("--later", is_flag=True, help="Also runs that are to start later.")
@options.limit
@options.output
@pass_invocation
def ls(
    invocation: Invocation,
    states: tuple[str, ...],
    flow: str | None,
    deployment: str | None,
    tags: tuple[str, ...],
    later: bool,
    limit: int,
    output: str,
) -> None:
    """List flow runs, the latest first; --state or --later shows those of the future, too.

    Example: penstock flow-run ls --state failed --flow etl
    """
    client = invocation.client
    wanted: dict[str, Any] = {}
    if states:
        wanted["state"] = _state_filter(states)
    if deployment:
        wanted["deployment_id"] = {"any_": [str(find_deployment(client, deployment).id)]}
    if tags:
        wanted["tags"] = {"all_": list(tags)}
    hidden = None
    if not (states or later):
        # schedules make hundreds of runs ahead, which would hide what has happened
        soon = invocation.now() + SOON
        hidden = {**wanted, "expected_start_time": {"after_": soon}}
        wanted["expected_start_time"] = {"before_": soon}
    filters: dict[str, Any] = {"flow_runs": wanted} if wanted else {}
    if flow:
        filters["flows"] = {"id": {"any_": [str(find_flow(client, flow).id)]}}
    found = read_pages(
        lambda size, offset: client.read_flow_runs(
            **filters, sort="EXPECTED_START_TIME_DESC", limit=size, offset=offset
        ),
        limit,
    )
    if output == "json":
        show_json(invocation, found)
        return
    flows = read_flow_names(client, [run.flow_id for run in found])
    columns: list[Column] = [
        ("id", lambda run: run.id),
        ("flow", lambda run: flows.get(run.flow_id)),
        ("name", lambda run: run.name),
        ("state", lambda run: run.state_name),
        ("started", lambda run: run.start_time or run.expected_start_time),
        ("took", _describe_run_time),
    ]
    show_list(invocation, output, found, columns, "No flow runs.")
    if hidden and (count := client.count_flow_runs(**{**filters, "flow_runs": hidden})):
        invocation.remark(f"To start later: {count}; see them with --later")


def _state_filter(states: tuple[str, ...]) -> dict[str, Any]:
    """Names that are types select by type, others by name; a run needs to match one."""
    types = [state.upper() for state in states if state.upper() in STATE_TYPES]
    names = [state for state in states if state.upper() not in STATE_TYPES]
    wanted: dict[str, Any] = {"operator": "or_"}
    if types:
        wanted["type"] = {"any_": types}
    if names:
        wanted["name"] = {"any_": names}
    return wanted


def _describe_run_time(run: "FlowRunResponse") -> str | None:
    seconds = run.estimated_run_time
    return show_seconds(seconds) if run.start_time else None


@flow_run.command("inspect")
@click.argument("flow_run")
@options.output
@pass_invocation
def inspect(invocation: Invocation, flow_run: str, output: str) -> None:
    """Show one flow run, by id or name."""
    show_details(invocation, output, find_flow_run(invocation.client, flow_run))


@flow_run.command("logs")
@click.argument("flow_run")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until the run ends.")
@click.option(
    "--level",
    type=click.Choice(list(LOG_LEVELS), case_sensitive=False),
    help="Only lines of this level or above.",
)
@options.output
@pass_invocation
def logs(
    invocation: Invocation, flow_run: str, follow: bool, level: str | None, output: str
) -> None:
    """Show what a flow run has logged, in order; as JSON: an object per line.

    Example: penstock flow-run logs 0198c1d2-… --follow
    """
    from penstock.cli.history import FlowRunHistory
    from penstock.cli.watch import follow_flow_run, line_writer

    client = invocation.client
    run = find_flow_run(client, flow_run)
    history = FlowRunHistory(client, run.id, states=False, level=LOG_LEVELS.get(level or ""))
    write = line_writer(invocation, output)
    if follow:
        follow_flow_run(invocation, history, write)
    else:
        for line in history.read_all():
            write(line)


@flow_run.command("cancel")
@click.argument("flow_run")
@options.output
@pass_invocation
def cancel(invocation: Invocation, flow_run: str, output: str) -> None:
    """Ask for a flow run's end; a run that has not started is cancelled at once."""
    client = invocation.client
    run = find_flow_run(client, flow_run)
    answer = client.set_flow_run_state(run.id, {"type": "CANCELLING"})
    state = answer.state
    # A run that has not started is REJECTed into CANCELLED; one that has ended is an ABORT.
    refused = answer.status.value not in {"ACCEPT", "REJECT"}
    if state is None or refused or state.type.value not in {"CANCELLING", "CANCELLED"}:
        fail(
            f"Flow run {run.name!r} is {run.state_name} and cannot be cancelled",
            f"look at it with: penstock flow-run inspect {run.id}",
        )
    words = {
        "CANCELLING": "Cancelling flow run {!r}; its worker ends it.",
        "CANCELLED": "Cancelled flow run {!r}.",
    }
    done = words[state.type.value].format(run.name)
    show_change(invocation, output, done, {"id": run.id, "name": run.name, "state": state})


@flow_run.command("suspend")
@click.argument("flow_run")
@options.output
@pass_invocation
def suspend(invocation: Invocation, flow_run: str, output: str) -> None:
    """Take a running run of a deployment out of its process until it is resumed.

    A process that is in the middle of something is ended by its worker, after 5 seconds.
    """
    from penstock.sdk.errors import RunRefused
    from penstock.sdk.pauses import suspend_flow_run

    client = invocation.client
    run = find_flow_run(client, flow_run)
    try:
        suspend_flow_run(flow_run_id=run.id, timeout_seconds=None, client=client)
    except RunRefused as error:
        fail(str(error), f"look at it with: penstock flow-run inspect {run.id}")
    done = f"Suspended flow run {run.name!r}; its worker ends the process in some seconds."
    _show_state(invocation, output, done, run.id)


@flow_run.command("resume")
@click.argument("flow_run")
@click.option(
    "--input",
    "inputs",
    type=options.KeyValue(),
    multiple=True,
    metavar="KEY=VALUE",
    help="What the run waits for; the value is JSON, else text. Repeatable.",
)
@options.output
@pass_invocation
def resume(
    invocation: Invocation, flow_run: str, inputs: tuple[tuple[str, Any], ...], output: str
) -> None:
    """Let a paused or suspended run go on; a plain value goes as --input value=…"""
    from penstock.sdk.errors import RunRefused
    from penstock.sdk.pauses import resume_flow_run

    client = invocation.client
    run = find_flow_run(client, flow_run)
    try:
        resume_flow_run(run.id, dict(inputs) or None, client=client)
    except RunRefused as error:
        fail(str(error), f"look at it with: penstock flow-run inspect {run.id}")
    _show_state(invocation, output, f"Resumed flow run {run.name!r}.", run.id)


def _show_state(invocation: Invocation, output: str, done: str, id: Any) -> None:
    run = invocation.client.read_flow_run(id)
    show_change(invocation, output, done, {"id": run.id, "name": run.name, "state": run.state})


@flow_run.command("delete")
@click.argument("flow_run")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, flow_run: str, yes: bool, output: str) -> None:
    """Delete a flow run with its task runs and logs."""
    run = find_flow_run(invocation.client, flow_run)
    invocation.confirm(f"Delete flow run {run.name!r}?", yes)
    invocation.client.delete_flow_run(run.id)
    done = f"Deleted flow run {run.name!r}."
    show_change(invocation, output, done, {"id": run.id, "name": run.name, "deleted": True})
