"""The root command: its subcommands are named here and loaded when called."""

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from penstock.cli.invocation import Invocation

#: name -> (module, attribute, summary). Summaries stand here so that help loads no command.
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "run": ("penstock.cli.run", "run", "Create a flow run; --watch follows it to its end."),
    "deploy": ("penstock.cli.deploy", "deploy", "Deploy a flow from a file."),
    "flow": ("penstock.cli.flow", "flow", "List, inspect and delete flows."),
    "deployment": (
        "penstock.cli.deployment",
        "deployment",
        "List, inspect, pause, resume and delete deployments.",
    ),
    "flow-run": (
        "penstock.cli.flow_run",
        "flow_run",
        "List, inspect, cancel, resume and delete flow runs; read their logs.",
    ),
    "work-pool": ("penstock.cli.work_pool", "work_pool", "Create and change work pools."),
    "work-queue": (
        "penstock.cli.work_queue",
        "work_queue",
        "Create and change the queues of a work pool.",
    ),
    "concurrency-limit": (
        "penstock.cli.concurrency_limit",
        "concurrency_limit",
        "Limit what happens at once, by name or tag.",
    ),
    "variable": ("penstock.cli.variable", "variable", "Set and read variables."),
    "artifact": ("penstock.cli.artifact", "artifact", "List and inspect artifacts."),
    "worker": ("penstock.cli.worker", "worker", "Execute the flow runs of a work pool."),
    "server": (
        "penstock.cli.server",
        "server",
        "Start a server; look after its database and keys.",
    ),
    "completion": (
        "penstock.cli.completion",
        "completion",
        "Print the completion script of a shell.",
    ),
    "version": ("penstock.cli.version", "version", "Show the client's and the server's version."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand's module only when that subcommand is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from penstock import __version__

        click.echo(__version__)
        ctx.exit()


@click.command(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="PENSTOCK_API_URL names the server; without it a local one is started when needed.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show this client's version.",
)
def root() -> None:
    """Create, execute and watch flow runs."""


def run_command(argv: Sequence[str] | None, invocation: Invocation | None = None) -> int:
    """Run one command and return its exit code; errors become one line on stderr."""
    invocation = invocation or Invocation()
    args = sys.argv[1:] if argv is None else list(argv)
    for arg in args:
        if not _is_text(arg):
            return _fail(invocation, f"{arg!a} is not UTF-8 — write it in UTF-8", 2)
    try:
        with contextlib.closing(invocation):
            answer = root.main(
                args=args,
                prog_name="penstock",
                standalone_mode=False,
                obj=invocation,
            )
            invocation.out.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        invocation.out.write(f"{error.format_message()}\n")
        return 0
    except click.UsageError as error:
        return _fail(invocation, _describe_misuse(error), 2)
    except click.ClickException as error:
        return _fail(invocation, error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return _reader_left()
    except _reported_errors() as error:
        return _fail(invocation, _without_request(str(error)), 1)
    return answer if isinstance(answer, int) else 0


def _is_text(arg: str) -> bool:
    try:
        arg.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 arrive as lone surrogates
        return False
    return True


def _reported_errors() -> type[Exception]:
    """The SDK's errors, whose message is for the user. Loaded only once something has failed."""
    from penstock.sdk.errors import PenstockError

    return PenstockError


def _without_request(message: str) -> str:
    """Whoever wrote a command need not know which request it made: `POST /flows/: …`."""
    words = message.split(" ", 2)
    if len(words) == 3 and words[0].isupper() and words[1][0] + words[1][-1] == "/:":
        return words[2]
    return message


def _describe_misuse(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".").replace("\n", " ")
    path = error.ctx.command_path if error.ctx else "penstock"
    return f"{message} — see: {path} --help"


def _fail(invocation: Invocation, message: str, code: int) -> int:
    line = " ".join(message.split())
    invocation.err.write(f"Error: {line}\n")
    invocation.err.flush()
    return code


def _reader_left() -> int:
    """The reader of our pipe has gone (`… | head`): keep the interpreter's last flush quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
