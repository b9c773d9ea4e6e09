"""`penstock flow`: the flows that a server knows."""

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, pass_invocation
from penstock.cli.lookup import find_flow
from penstock.cli.output import Column, show_change, show_details, show_list
from penstock.cli.pages import read_pages

COLUMNS: list[Column] = [
    ("id", lambda flow: flow.id),
    ("name", lambda flow: flow.name),
    ("tags", lambda flow: ", ".join(flow.tags)),
    ("created", lambda flow: flow.created),
]


@click.group()
def flow() -> None:
    """List, inspect and delete flows."""


@flow.command("ls")
@click.option("--name", metavar="TEXT", help="Only flows whose name contains this.")
@options.tag("Only flows with this tag. Repeatable: all of them.")
@options.limit
@options.output
@pass_invocation
def ls(
    invocation: Invocation, name: str | None, tags: tuple[str, ...], limit: int, output: str
) -> None:
    """List flows, the newest first."""
    wanted: dict[str, object] = {}
    if name:
        wanted["name"] = {"like_": name}
    if tags:
        wanted["tags"] = {"all_": list(tags)}
    found = read_pages(
        lambda size, offset: invocation.client.read_flows(
            flows=wanted or None, sort="CREATED_DESC", limit=size, offset=offset
        ),
        limit,
    )
    show_list(invocation, output, found, COLUMNS, "No flows.")


@flow.command("inspect")
@click.argument("flow")
@options.output
@pass_invocation
def inspect(invocation: Invocation, flow: str, output: str) -> None:
    """Show one flow, by name or id."""
    show_details(invocation, output, find_flow(invocation.client, flow))


@flow.command("delete")
@click.argument("flow")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, flow: str, yes: bool, output: str) -> None:
    """Delete a flow with its deployments and its runs."""
    found = find_flow(invocation.client, flow)
    invocation.confirm(f"Delete flow {found.name!r}, its deployments and its runs?", yes)
    invocation.client.delete_flow(found.id)
    show_change(
        invocation,
        output,
        f"Deleted flow {found.name!r}.",
        {"id": found.id, "name": found.name, "deleted": True},
    )
