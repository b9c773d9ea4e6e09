"""`penstock server`: the only command that loads the server."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from penstock.cli import options
from penstock.cli.invocation import CommandError, Invocation, pass_invocation
from penstock.cli.output import show_change, show_list

_database = click.option(
    "--database",
    metavar="URL",
    help="sqlite:///absolute/path.db or postgresql://user:password@host/name.  "
    "[default: penstock.db in PENSTOCK_HOME]",
)


@click.group()
def server() -> None:
    """Start a server, look after its database, make keys."""


@server.command("start")
@click.option("--host", metavar="HOST", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.  [default: 4200]",
)
@_database
@click.option(
    "--auth-string", metavar="USER:PASSWORD", help="Ask every client for this; see the README."
)
@click.option("--csrf-protection", is_flag=True, help="Ask clients for a token with each change.")
@click.option("--no-services", is_flag=True, help="Serve requests only; run no background loops.")
@click.option(
    "--allow-open-bind",
    is_flag=True,
    help="Listen beyond this machine without authentication.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="How much the server says.",
)
def start(
    host: str | None,
    port: int | None,
    database: str | None,
    auth_string: str | None,
    csrf_protection: bool,
    no_services: bool,
    allow_open_bind: bool,
    log_level: str | None,
) -> int:
    """Serve the API until Ctrl-C or SIGTERM.

    Example: penstock server start --port 4300 --database sqlite:////tmp/demo.db
    """
    from penstock.server.__main__ import main

    valued = {
        "--host": host,
        "--port": port,
        "--database": database,
        "--auth-string": auth_string,
        "--log-level": log_level,
    }
    argv = [
        text for name, value in valued.items() if value is not None for text in (name, str(value))
    ]
    argv += ["--csrf-protection"] * csrf_protection
    argv += ["--no-services"] * no_services + ["--allow-open-bind"] * allow_open_bind
    return main(argv)


@server.group("database")
def database_group() -> None:
    """Look after the database."""


@database_group.command("upgrade")
@_database
@options.output
@pass_invocation
def upgrade(invocation: Invocation, database: str | None, output: str) -> None:
    """Bring the database's schema up to date. Stop its servers first, and make a backup.

    Example: penstock server database upgrade --database postgresql://me@db/penstock
    """
    from penstock.server.settings import default_database_url
    from penstock.server.upkeep import upgrade_database

    with _one_line_errors():
        revision = upgrade_database(database or default_database_url())
    done = f"The database is at revision {revision}."
    show_change(invocation, output, done, {"revision": revision})


@database_group.command("reencrypt")
@_database
@options.output
@pass_invocation
def reencrypt(invocation: Invocation, database: str | None, output: str) -> None:
    """Encrypt the secrets of blocks anew, with the first key of PENSTOCK_SECRET_KEY.

    Start the servers with the new key and the old one before, separated by a comma; afterwards
    the old one can go.

    Example: PENSTOCK_SECRET_KEY=NEW,OLD penstock server database reencrypt
    """
    from penstock.server.settings import default_database_url
    from penstock.server.upkeep import reencrypt_secrets

    with _one_line_errors():
        count = reencrypt_secrets(database or default_database_url())
    done = f"{count} blocks are encrypted with the first key; the others are not needed any more."
    show_change(invocation, output, done, {"blocks": count})


@server.group("key")
def key_group() -> None:
    """Make, list and delete API keys, for servers started with --auth-string."""


@key_group.command("create")
@click.argument("name")
@_database
@options.output
@pass_invocation
def create_key(invocation: Invocation, name: str, database: str | None, output: str) -> None:
    """Make an API key and print it, this once: only its hash is stored.

    Example: penstock server key create ci
    """
    from penstock.server import upkeep
    from penstock.server.settings import default_database_url

    with _one_line_errors():
        key = upkeep.create_key(database or default_database_url(), name, invocation.now())
    show_change(invocation, output, key, {"name": name, "key": key})
    invocation.remark("Keep it: it cannot be shown again. Clients take it from PENSTOCK_API_KEY.")


@key_group.command("ls")
@_database
@options.output
@pass_invocation
def list_keys(invocation: Invocation, database: str | None, output: str) -> None:
    """List the names of API keys and when they were made; a key itself is never shown."""
    from penstock.server import upkeep
    from penstock.server.settings import default_database_url

    with _one_line_errors():
        keys = upkeep.read_keys(database or default_database_url())
    rows = [{"name": name, "created": created} for name, created in keys]
    columns = [("name", lambda row: row["name"]), ("created", lambda row: row["created"])]
    show_list(invocation, output, rows, columns, "No keys.")


@key_group.command("delete")
@click.argument("name")
@_database
@options.output
@pass_invocation
def delete_key(invocation: Invocation, name: str, database: str | None, output: str) -> None:
    """Delete an API key: every server refuses it from the next request on.

    Example: penstock server key delete ci
    """
    from penstock.server import upkeep
    from penstock.server.settings import default_database_url

    with _one_line_errors():
        upkeep.delete_key(database or default_database_url(), name)
    show_change(invocation, output, f"Deleted key {name!r}.", {"name": name})


@contextmanager
def _one_line_errors() -> Iterator[None]:
    from penstock.server.upkeep import EXPECTED_ERRORS

    try:
        yield
    except EXPECTED_ERRORS as e:
        raise CommandError(str(e)) from e
