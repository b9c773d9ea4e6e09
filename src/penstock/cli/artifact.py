"""`penstock artifact`: what runs have left behind for people: tables, texts, links."""

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.lookup import as_uuid
from penstock.cli.output import Column, show_details, show_list
from penstock.cli.pages import read_pages

COLUMNS: list[Column] = [
    ("id", lambda artifact: artifact.id),
    ("key", lambda artifact: artifact.key),
    ("type", lambda artifact: artifact.type),
    ("description", lambda artifact: artifact.description),
    ("created", lambda artifact: artifact.created),
]


@click.group("artifact")
def artifact() -> None:
    """List and inspect artifacts."""


@artifact.command("ls")
@click.option("--key", metavar="KEY", help="All of this key, the newest first.")
@options.limit
@options.output
@pass_invocation
def ls(invocation: Invocation, key: str | None, limit: int, output: str) -> None:
    """List artifacts, the newest first."""
    client = invocation.client
    wanted = None if key is None else {"key": {"any_": [key]}}
    found = read_pages(
        lambda size, offset: client.read_artifacts(
            artifacts=wanted, sort="CREATED_DESC", limit=size, offset=offset
        ),
        limit,
    )
    show_list(invocation, output, found, COLUMNS, "No artifacts.")


@artifact.command("inspect")
@click.argument("artifact", metavar="KEY|ID")
@options.output
@pass_invocation
def inspect(invocation: Invocation, artifact: str, output: str) -> None:
    """Show one artifact by id, or the newest of a key."""
    from penstock.sdk.errors import NotFound

    client = invocation.client
    id = as_uuid(artifact)
    try:
        found = client.read_latest_artifact(artifact) if id is None else client.read_artifact(id)
    except NotFound:
        fail(f"There is no artifact {artifact!r}", "see what there is: penstock artifact ls")
    show_details(invocation, output, found)
