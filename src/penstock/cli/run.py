"""`penstock run`: one flow run, of a deployment or of a flow in a file."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.output import show_cell, show_json


@dataclass(frozen=True)
class RunRequest:
    """What was asked for, as the options say it."""

    deployment: str | None
    id: str | None
    name: str | None
    project: str | None
    path: Path | None
    module: str | None
    params: tuple[tuple[str, Any], ...]
    param_file: TextIO | None
    run_name: str | None
    tags: tuple[str, ...]
    context: tuple[tuple[str, Any], ...]
    idempotency_key: str | None
    start_in: timedelta | None
    start_at: datetime | None
    execute: bool
    watch: bool
    quiet: bool
    no_logs: bool
    output: str

    @property
    def is_local(self) -> bool:
        """Whether the flow is run in this process."""
        return self.path is not None or self.module is not None


@click.command(short_help="Create a flow run.")
@click.argument("deployment", required=False, metavar="[FLOW/DEPLOYMENT]")
@click.option("--id", metavar="UUID", help="The id of a deployment or of a flow.")
@click.option(
    "--name", "-n", metavar="NAME", help="A flow's name; with --path or --module: which flow there."
)
@click.option("--project", metavar="NAME", help="With --name: the deployment's name (project).")
@click.option(
    "--path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Run a flow of this file, here and now.",
)
@click.option("--module", "-m", metavar="MODULE", help="Run a flow of this module, here and now.")
@options.param
@click.option(
    "--param-file",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="JSON object with parameters; - reads stdin. --param wins.",
)
@click.option("--run-name", metavar="NAME", help="The run's name; else two random words.")
@options.tag("A tag for the run. Repeatable.")
@click.option(
    "--context",
    type=options.KeyValue(),
    multiple=True,
    metavar="KEY=VALUE",
    help="An entry of the run's context; the value is JSON, else text. Repeatable.",
)
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Create at most one run with this key; later calls give that run.",
)
@click.option(
    "--start-in", type=options.Duration(), metavar="DURATION", help="Start after 30s, 10m, 2h, 1d."
)
@click.option(
    "--start-at", type=options.Moment(), metavar="TIME", help="Start at 2030-01-31T09:00 (local)."
)
@click.option(
    "--execute",
    "-x",
    is_flag=True,
    help="Run it here and now, without a worker; exit 0 if it completed.",
)
@click.option(
    "--watch", "-w", is_flag=True, help="Show states and logs to the end; exit 0 if it completed."
)
@click.option("--quiet", "-q", is_flag=True, help="Print the run's id and nothing else.")
@click.option("--no-logs", is_flag=True, help="With --watch: states only.")
@options.output
@pass_invocation
def run(invocation: Invocation, /, **given: Any) -> int:
    """Create a flow run; --watch follows it to its end.

    \b
    Examples:
      penstock run etl/daily --param day=2030-01-31 --watch
      penstock run --name etl --start-in 10m
      penstock run --path flows.py --name etl --param 'limit=[1, 2]'
      penstock run etl/daily --execute
    """
    request = RunRequest(**given)
    _check(request)
    parameters = read_parameters(request)
    if request.is_local:
        from penstock.cli.local_run import run_here

        return run_here(invocation, request, parameters)
    return _create(invocation, request, parameters)


def _check(request: RunRequest) -> None:
    """Refuse options that contradict each other."""
    by_name = request.name is not None and not request.is_local
    ways = [request.deployment, request.id, request.path, request.module, by_name or None]
    if sum(way is not None for way in ways) != 1:
        raise click.UsageError(
            "Say what to run, in one way: FLOW/DEPLOYMENT, --id, --name, --path or --module"
        )
    if request.project is not None and not by_name:
        raise click.UsageError("--project goes with --name")
    if request.start_in is not None and request.start_at is not None:
        raise click.UsageError("Give --start-in or --start-at, not both")
    if request.quiet and request.output == "json":
        raise click.UsageError("Give --quiet or --output json, not both")
    if request.is_local:
        _check_local(request)
    elif request.execute:
        _check_execute(request)


def _check_local(request: RunRequest) -> None:
    misplaced = {
        "--start-in": request.start_in,
        "--start-at": request.start_at,
        "--idempotency-key": request.idempotency_key,
    }
    for name, value in misplaced.items():
        if value is not None:
            raise click.UsageError(f"{name} is for deployments; a flow in a file runs here and now")


def _check_execute(request: RunRequest) -> None:
    misplaced = {
        "--start-in": request.start_in,
        "--start-at": request.start_at,
        "--idempotency-key": request.idempotency_key,
    }
    for name, value in misplaced.items():
        if value is not None:
            raise click.UsageError(f"{name} is for workers; --execute runs it here and now")


def read_parameters(request: RunRequest) -> dict[str, Any]:
    """The parameters of the file, then those given one by one."""
    parameters: dict[str, Any] = {}
    if request.param_file is not None:
        remedy = 'write an object such as {"n": 1}'
        try:
            loaded = options.parse_json(request.param_file.read())
        except ValueError as error:
            fail(f"The parameter file is not JSON: {error}", remedy)
        if not isinstance(loaded, dict):
            fail("The parameter file is not a JSON object", remedy)
        if reason := options.why_unsendable(loaded):
            fail(f"The parameter file cannot be sent: {reason}", "change that value")
        parameters.update(loaded)
    parameters.update(request.params)
    return parameters


def _create(invocation: Invocation, request: RunRequest, parameters: dict[str, Any]) -> int:
    from penstock.cli.lookup import read_deployment_name
    from penstock.cli.run_target import find_target

    start = _start_time(invocation, request)
    client = invocation.client
    target = find_target(client, request)
    given: dict[str, Any] = {
        "parameters": parameters or None,
        "flow_run_name": request.run_name,
        "scheduled_start_time": start,
        "idempotency_key": request.idempotency_key,
        "tags": list(request.tags) or None,
        "context": dict(request.context) or None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if request.execute:
        from penstock.cli.local_run import execute_here

        return execute_here(invocation, request, target, given)
    flow_run_id = client.create_flow_run(deployment_id=target.id, **given)
    if request.quiet:
        invocation.say(str(flow_run_id))
        invocation.out.flush()
    elif request.output == "table":
        created = client.read_flow_run(flow_run_id)
        name = read_deployment_name(client, target)
        when = f", to start at {show_cell(start)}" if start else ""
        is_what = (
            f"has the key {request.idempotency_key!r}" if request.idempotency_key else "is created"
        )
        invocation.say(f"Flow run {created.name!r} ({flow_run_id}) of {name!r} {is_what}{when}.")
    if request.watch:
        return _watch(invocation, request, flow_run_id)
    if request.output == "json":
        show_json(invocation, client.read_flow_run(flow_run_id))
    elif not request.quiet:
        invocation.say(f"Watch it with: penstock flow-run logs {flow_run_id} --follow")
    return 0


def _start_time(invocation: Invocation, request: RunRequest) -> datetime | None:
    if request.start_in is None:
        return request.start_at
    try:
        return invocation.now() + request.start_in
    except OverflowError:
        raise click.UsageError("--start-in reaches beyond the year 9999") from None


def _watch(invocation: Invocation, request: RunRequest, flow_run_id: Any) -> int:
    from penstock.cli.history import FlowRunHistory
    from penstock.cli.watch import watch_flow_run

    logs = not (request.no_logs or request.quiet)
    history = FlowRunHistory(invocation.client, flow_run_id, logs=logs)
    return watch_flow_run(invocation, history, request.quiet, request.output)
