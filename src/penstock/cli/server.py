"""`penstock server`: the only command that loads the server."""

import click


@click.group()
def server() -> None:
    """Start a server."""


@server.command("start")
@click.option("--host", metavar="HOST", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.  [default: 4200]",
)
@click.option(
    "--database",
    metavar="URL",
    help="sqlite:///absolute/path.db or postgresql://user:password@host/name.  "
    "[default: penstock.db in PENSTOCK_HOME]",
)
@click.option(
    "--auth-string", metavar="USER:PASSWORD", help="Ask every client for this; see the README."
)
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
    argv += ["--no-services"] * no_services + ["--allow-open-bind"] * allow_open_bind
    return main(argv)
