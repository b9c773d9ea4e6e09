"""The differences that are meant: each has a row in docs/compatibility.md, and is still there."""

import json
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.wire.differences.compare import Json

FILE = Path(__file__).with_name("expected.toml")
DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"


@dataclass(frozen=True)
class Expected:
    """A difference that is meant. All texts but `what` are patterns with `*`."""

    #: the first column of its row in docs/compatibility.md
    what: str
    #: `POST /flows/filter`
    operations: tuple[str, ...]
    #: where in the answer: `[].state.type`, `status`
    fields: tuple[str, ...]
    #: what stands there, as JSON
    theirs: str = "*"
    ours: str = "*"
    #: what was sent
    request: str = "*"
    #: shows only when the machine is slow or chance wills it
    sometimes: bool = False

    def covers(
        self, operation: str, path: str, theirs: Json, ours: Json, request: Json = None
    ) -> bool:
        """Whether a difference is this one."""
        return (
            any(matches(operation, pattern) for pattern in self.operations)
            and any(matches(path, pattern) for pattern in self.fields)
            and matches(as_text(theirs), self.theirs)
            and matches(as_text(ours), self.ours)
            and matches(as_text(request), self.request)
        )


def matches(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern in which only `*` is special."""
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def as_text(value: Json) -> str:
    """A value as JSON, in one line."""
    return json.dumps(value, sort_keys=True, default=repr)


def read_expected() -> list[Expected]:
    """The meant differences, in the order of the file."""
    rows: list[dict[str, Any]] = tomllib.loads(FILE.read_text())["difference"]
    return [
        Expected(
            row["what"],
            tuple(row["operations"]),
            tuple(row["fields"]),
            row.get("theirs", "*"),
            row.get("ours", "*"),
            row.get("request", "*"),
            row.get("sometimes", False),
        )
        for row in rows
    ]


def documented() -> set[str]:
    """The first column of every table in docs/compatibility.md."""
    lines = DOCUMENT.read_text().splitlines()
    return {line.split("|")[1].strip() for line in lines if line.startswith("|")}
