"""The command line. Nothing heavy is loaded before a command needs it."""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's arguments) names; returns its exit code.

    0: it worked. 1: it did not, with one line on stderr. 2: it was called wrongly. 130: Ctrl-C.
    """
    from penstock.cli.app import run_command

    return run_command(argv)
