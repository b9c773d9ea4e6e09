"""`penstock concurrency-limit`: how much may happen at once, by name or by tag of task runs."""

from typing import Any, NoReturn

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.output import Column, show_change, show_details, show_list
from penstock.cli.pages import read_pages

COLUMNS: list[Column] = [
    ("name", lambda limit: limit.name),
    ("limit", lambda limit: limit.limit),
    ("taken", lambda limit: limit.active_slots),
    ("decay per second", lambda limit: limit.slot_decay_per_second or None),
    ("active", lambda limit: limit.active),
]


@click.group("concurrency-limit")
def concurrency_limit() -> None:
    """Limit what happens at once."""


@concurrency_limit.command("ls")
@options.limit
@options.output
@pass_invocation
def ls(invocation: Invocation, limit: int, output: str) -> None:
    """List limits by name; those of tags are named tag:TAG."""
    client = invocation.client
    found = read_pages(
        lambda size, offset: client.read_concurrency_limits(limit=size, offset=offset), limit
    )
    show_list(invocation, output, found, COLUMNS, "No limits.")


@concurrency_limit.command("inspect")
@click.argument("name")
@options.output
@pass_invocation
def inspect(invocation: Invocation, name: str, output: str) -> None:
    """Show one limit."""
    from penstock.sdk.errors import NotFound

    try:
        found = invocation.client.read_concurrency_limit(name)
    except NotFound:
        _fail_missing(name)
    show_details(invocation, output, found)


@concurrency_limit.command("set")
@click.argument("name")
@click.argument("limit", type=click.IntRange(min=0))
@click.option(
    "--slot-decay-per-second",
    type=click.FloatRange(min=0),
    help="How fast taken slots come back by themselves: makes it a rate limit.",
)
@options.output
@pass_invocation
def set_(
    invocation: Invocation,
    name: str,
    limit: int,
    slot_decay_per_second: float | None,
    output: str,
) -> None:
    """Make a limit or change it.

    \b
    Examples:
      penstock concurrency-limit set database 5
      penstock concurrency-limit set tag:heavy 2
    """
    from penstock.sdk.errors import NotFound

    client = invocation.client
    given: dict[str, Any] = {"limit": limit}
    if slot_decay_per_second is not None:
        given["slot_decay_per_second"] = slot_decay_per_second
    try:
        client.update_concurrency_limit(name, **given)
    except NotFound:
        client.create_concurrency_limit(name, **given)
    show_change(invocation, output, f"Set limit {name!r} to {limit}.", {"name": name, **given})


@concurrency_limit.command("delete")
@click.argument("name")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, name: str, yes: bool, output: str) -> None:
    """Delete a limit: what it held back is free."""
    from penstock.sdk.errors import NotFound

    invocation.confirm(f"Delete limit {name!r}?", yes)
    try:
        invocation.client.delete_concurrency_limit(name)
    except NotFound:
        _fail_missing(name)
    show_change(invocation, output, f"Deleted limit {name!r}.", {"name": name})


def _fail_missing(name: str) -> NoReturn:
    fail(f"There is no limit {name!r}", "see what there is: penstock concurrency-limit ls")
