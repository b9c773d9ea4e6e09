"""What a command gets from outside: streams, a client, a clock. Tests bring their own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

if TYPE_CHECKING:
    from penstock.sdk.client import Client


class CommandError(click.ClickException):
    """A command cannot do what was asked; its message is one line that ends with the remedy."""


def fail(problem: str, remedy: str) -> NoReturn:
    """End the command with `Error: problem — remedy` and exit code 1."""
    raise CommandError(f"{problem} — {remedy}")


@dataclass
class Invocation:
    """One call of the command line."""

    #: Results go here and nothing else.
    out: TextIO = field(default_factory=lambda: sys.stdout)
    #: Errors, questions and remarks.
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """The client of this call; made, with the local server if need be, when first asked for."""
        if self._client is None:
            from penstock.sdk.client import Client

            self._client = Client()
        return self._client

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def say(self, text: str) -> None:
        """A result for people: one line on stdout."""
        self.out.write(f"{text}\n")

    def remark(self, text: str) -> None:
        """One line beside the result, on stderr."""
        self.out.flush()
        self.err.write(f"{text}\n")
        self.err.flush()

    def confirm(self, question: str, yes: bool) -> None:
        """Go on when `yes` or when the person at the terminal agrees; else end the command."""
        if yes:
            return
        if not (self.stdin.isatty() and self.err.isatty()):
            fail("Nobody is here to be asked", "add --yes")
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        if self.stdin.readline().strip().lower() not in {"y", "yes"}:
            fail("Nothing was deleted", "answer y or add --yes to delete")

    def close(self) -> None:
        """Let the client's connections go."""
        if self._client is not None:
            self._client.close()


pass_invocation = click.make_pass_decorator(Invocation)
