"""`penstock deployment`: what can be run, and when it runs by itself."""

from typing import Any

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, pass_invocation
from penstock.cli.lookup import find_deployment, read_deployment_name, read_flow_names
from penstock.cli.output import Column, show_cell, show_change, show_details, show_json, show_list
from penstock.cli.pages import read_pages

SCHEDULE_COLUMNS: list[Column] = [
    ("id", lambda schedule: schedule.id),
    ("when", lambda schedule: describe_schedule(schedule.schedule)),
    ("active", lambda schedule: schedule.active),
    ("parameters", lambda schedule: schedule.parameters or None),
]


@click.group()
def deployment() -> None:
    """List, inspect, pause, resume and delete deployments."""


@deployment.command("ls")
@click.option("--flow", metavar="NAME", help="Only this flow's.")
@click.option("--name", metavar="NAME", help="Only those of this name.")
@options.pool("Only those that run in this work pool.")
@options.tag("Only those with this tag. Repeatable: all of them.")
@options.limit
@options.output
@pass_invocation
def ls(
    invocation: Invocation,
    flow: str | None,
    name: str | None,
    pool: str | None,
    tags: tuple[str, ...],
    limit: int,
    output: str,
) -> None:
    """List deployments by name."""
    wanted = {
        "name": {"any_": [name]} if name else None,
        "tags": {"all_": list(tags)} if tags else None,
    }
    filters: dict[str, Any] = {
        "deployments": {key: value for key, value in wanted.items() if value},
        "flows": {"name": {"any_": [flow]}} if flow else None,
        "work_pools": {"name": {"any_": [pool]}} if pool else None,
    }
    given = {key: value for key, value in filters.items() if value}
    client = invocation.client
    found = read_pages(
        lambda size, offset: client.read_deployments(
            **given, sort="NAME_ASC", limit=size, offset=offset
        ),
        limit,
    )
    if output == "json":
        show_json(invocation, found)
        return
    flows = read_flow_names(client, [item.flow_id for item in found])
    columns: list[Column] = [
        ("id", lambda item: item.id),
        ("name", lambda item: f"{flows.get(item.flow_id, '?')}/{item.name}"),
        ("pool", lambda item: item.work_pool_name),
        ("status", lambda item: "PAUSED" if item.paused else item.status),
        ("schedules", lambda item: _describe_schedules(item.schedules)),
    ]
    show_list(invocation, output, found, columns, "No deployments.")


@deployment.command("inspect")
@click.argument("deployment")
@options.output
@pass_invocation
def inspect(invocation: Invocation, deployment: str, output: str) -> None:
    """Show one deployment, by flow/deployment or id."""
    show_details(invocation, output, find_deployment(invocation.client, deployment))


@deployment.command("pause")
@click.argument("deployment")
@options.output
@pass_invocation
def pause(invocation: Invocation, deployment: str, output: str) -> None:
    """Stop a deployment's schedules; the runs they had made ahead are dropped."""
    _set_paused(invocation, deployment, True, output)


@deployment.command("resume")
@click.argument("deployment")
@options.output
@pass_invocation
def resume(invocation: Invocation, deployment: str, output: str) -> None:
    """Let a paused deployment's schedules make runs again."""
    _set_paused(invocation, deployment, False, output)


def _set_paused(invocation: Invocation, deployment: str, paused: bool, output: str) -> None:
    client = invocation.client
    found = find_deployment(client, deployment)
    if paused:
        client.pause_deployment(found.id)
    else:
        client.resume_deployment(found.id)
    name = read_deployment_name(client, found)
    done = f"{'Paused' if paused else 'Resumed'} deployment {name!r}."
    show_change(invocation, output, done, {"id": found.id, "name": name, "paused": paused})


@deployment.command("delete")
@click.argument("deployment")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, deployment: str, yes: bool, output: str) -> None:
    """Delete a deployment and its runs that have not started; other runs stay."""
    client = invocation.client
    found = find_deployment(client, deployment)
    name = read_deployment_name(client, found)
    invocation.confirm(f"Delete deployment {name!r}?", yes)
    client.delete_deployment(found.id)
    done = f"Deleted deployment {name!r}."
    show_change(invocation, output, done, {"id": found.id, "name": name, "deleted": True})


@deployment.group("schedules")
def schedules() -> None:
    """When a deployment runs by itself."""


@schedules.command("ls")
@click.argument("deployment")
@options.output
@pass_invocation
def list_schedules(invocation: Invocation, deployment: str, output: str) -> None:
    """List a deployment's schedules."""
    found = find_deployment(invocation.client, deployment)
    show_list(invocation, output, found.schedules, SCHEDULE_COLUMNS, "No schedules.")


def describe_schedule(schedule: Any) -> str:
    """A schedule in a few words: `cron 0 9 * * * Europe/Paris`."""
    zone = getattr(schedule, "timezone", None)
    for kind in ("cron", "interval", "rrule"):
        if (rule := getattr(schedule, kind, None)) is not None:
            words = [kind, show_cell(rule), zone]
            return " ".join(word for word in words if word)
    return show_cell(schedule)


def _describe_schedules(found: list[Any]) -> str | None:
    words = [
        describe_schedule(item.schedule) + ("" if item.active else " (paused)") for item in found
    ]
    return ", ".join(words) or None
