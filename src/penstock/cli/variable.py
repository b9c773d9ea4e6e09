"""`penstock variable`: JSON values with a name, for parameters and templates."""

from typing import NoReturn

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.output import Column, show_change, show_details, show_list
from penstock.cli.pages import read_pages

COLUMNS: list[Column] = [
    ("name", lambda variable: variable.name),
    ("value", lambda variable: variable.value),
    ("tags", lambda variable: ", ".join(variable.tags)),
    ("updated", lambda variable: variable.updated),
]


@click.group("variable")
def variable() -> None:
    """Set and read variables."""


@variable.command("ls")
@options.tag("Only variables with this tag. Repeatable: all of them.")
@options.limit
@options.output
@pass_invocation
def ls(invocation: Invocation, tags: tuple[str, ...], limit: int, output: str) -> None:
    """List variables by name."""
    client = invocation.client
    wanted = {"tags": {"all_": list(tags)}} if tags else None
    found = read_pages(
        lambda size, offset: client.read_variables(
            variables=wanted, sort="NAME_ASC", limit=size, offset=offset
        ),
        limit,
    )
    show_list(invocation, output, found, COLUMNS, "No variables.")


@variable.command("get")
@click.argument("name")
@options.output
@pass_invocation
def get(invocation: Invocation, name: str, output: str) -> None:
    """Show one variable."""
    from penstock.sdk.errors import NotFound

    try:
        found = invocation.client.read_variable_by_name(name)
    except NotFound:
        _fail_missing(name)
    show_details(invocation, output, found)


@variable.command("set")
@click.argument("name")
@click.argument("value")
@options.tag("A tag, in place of those it has. Repeatable.")
@options.output
@pass_invocation
def set_(invocation: Invocation, name: str, value: str, tags: tuple[str, ...], output: str) -> None:
    """Make a variable or change it; VALUE is JSON, else text.

    Example: penstock variable set limits '{"rows": 100}'
    """
    from penstock.sdk.errors import NotFound

    client = invocation.client
    parsed = options.parse_value(value)
    given = {"value": parsed} | ({"tags": list(tags)} if tags else {})
    try:
        client.update_variable_by_name(name, **given)
    except NotFound:
        client.create_variable(name=name, **given)
    show_change(invocation, output, f"Set variable {name!r}.", {"name": name, **given})


@variable.command("delete")
@click.argument("name")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, name: str, yes: bool, output: str) -> None:
    """Delete a variable."""
    from penstock.sdk.errors import NotFound

    invocation.confirm(f"Delete variable {name!r}?", yes)
    try:
        invocation.client.delete_variable_by_name(name)
    except NotFound:
        _fail_missing(name)
    show_change(invocation, output, f"Deleted variable {name!r}.", {"name": name})


def _fail_missing(name: str) -> NoReturn:
    fail(f"There is no variable {name!r}", "see what there is: penstock variable ls")
