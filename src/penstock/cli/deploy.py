"""`penstock deploy`: make a flow in a file runnable from anywhere."""

import shlex
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from penstock.cli import options
from penstock.cli.flow_files import load_entrypoint
from penstock.cli.invocation import Invocation, pass_invocation
from penstock.cli.output import show_json


@dataclass(frozen=True)
class DeployRequest:
    """What was asked for, as the options say it."""

    entrypoint: str
    name: str
    pool: str
    queue: str | None
    cron: str | None
    interval: timedelta | None
    rrule: str | None
    timezone: str | None
    params: tuple[tuple[str, Any], ...]
    tags: tuple[str, ...]
    path: Path | None
    description: str | None
    version: str | None
    concurrency_limit: int | None
    job_variables: tuple[tuple[str, Any], ...]
    paused: bool
    output: str


@click.command(short_help="Deploy a flow from a file.")
@click.argument("entrypoint", type=options.Entrypoint(), metavar="FILE.py:FLOW")
@click.option("--name", "-n", required=True, metavar="NAME", help="The deployment's name.")
@options.pool("The work pool that its runs go to.", required=True)
@click.option("--queue", "-q", metavar="NAME", help="The work queue; made when missing.")
@click.option("--cron", metavar="EXPRESSION", help="Run at these times, such as '0 9 * * *'.")
@click.option(
    "--interval", type=options.Duration(), metavar="DURATION", help="Run every 30s, 10m, 2h, 1d."
)
@click.option("--rrule", metavar="RULE", help="Run by a recurrence rule, such as FREQ=DAILY.")
@click.option("--timezone", metavar="ZONE", help="Of the schedule, such as Europe/Paris.")
@options.param
@options.tag("A tag for the deployment and its runs. Repeatable.")
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where workers find the code; else the file's folder.",
)
@click.option("--description", metavar="TEXT", help="What it is for; else the flow's docstring.")
@click.option("--version", metavar="TEXT", help="The code's version.")
@click.option(
    "--concurrency-limit",
    type=click.IntRange(min=1),
    help="At most so many runs at the same time.",
)
@click.option(
    "--job-variable",
    "job_variables",
    type=options.KeyValue(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A variable of the pool's job template. Repeatable.",
)
@click.option("--paused", is_flag=True, help="Let its schedule rest at first.")
@options.output
@pass_invocation
def deploy(invocation: Invocation, /, **given: Any) -> None:
    """Deploy a flow from a file; a deployment of the same name is replaced.

    \b
    Example:
      penstock deploy flows.py:etl --name daily --pool local --cron '0 9 * * *'
    """
    request = DeployRequest(**given)
    schedules = [request.cron, request.interval, request.rrule]
    if sum(given is not None for given in schedules) > 1:
        raise click.UsageError("Give one of --cron, --interval and --rrule")
    if request.timezone and not any(schedules):
        raise click.UsageError("--timezone goes with --cron, --interval or --rrule")
    flow = load_entrypoint(request.entrypoint)
    deployment_id = flow.deploy(
        request.name, client=invocation.client, **_deployment_fields(request)
    )
    if request.output == "json":
        show_json(invocation, invocation.client.read_deployment(deployment_id))
        return
    path = f"{flow.name}/{request.name}"
    invocation.say(f"Deployed {path!r} ({deployment_id}).")
    invocation.say(f"Run it with: penstock run {shlex.quote(path)} --watch")


def _deployment_fields(request: DeployRequest) -> dict[str, Any]:
    """The arguments of `Flow.deploy`; what was not given keeps its default there."""
    fields: dict[str, Any] = {
        "work_pool_name": request.pool,
        "work_queue_name": request.queue,
        "cron": request.cron,
        "interval": request.interval,
        "rrule": request.rrule,
        "timezone": request.timezone,
        "parameters": dict(request.params) or None,
        "tags": list(request.tags) or None,
        "path": request.path,
        "description": request.description,
        "version": request.version,
        "concurrency_limit": request.concurrency_limit,
        "job_variables": dict(request.job_variables) or None,
        "paused": request.paused or None,
    }
    return {name: value for name, value in fields.items() if value is not None}
