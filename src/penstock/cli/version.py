"""`penstock version`: who is talking to whom."""

import click

from penstock import __version__
from penstock.cli import options
from penstock.cli.invocation import Invocation, pass_invocation
from penstock.cli.output import show_details


@click.command()
@options.output
@pass_invocation
def version(invocation: Invocation, output: str) -> None:
    """Show the versions of this client and of its server."""
    from penstock.sdk.errors import PenstockError

    shown: dict[str, object] = {"client": __version__}
    try:
        shown["server"] = f"speaks Prefect {invocation.client.read_version()}"
        shown["api_url"] = invocation.client.api_url
    except PenstockError as error:
        shown["server"] = None
        shown["server_error"] = str(error)
    show_details(invocation, output, shown)
