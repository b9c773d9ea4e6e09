"""How answers look: JSON with the wire's names, or columns; colours only on a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO
from uuid import UUID

import click

from penstock.cli.invocation import Invocation

#: Names that click and rich both know.
STATE_COLOURS: Mapping[str, str] = {
    "SCHEDULED": "yellow",
    "LATE": "yellow",
    "AWAITINGRETRY": "yellow",
    "PENDING": "cyan",
    "RUNNING": "blue",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "magenta",
    "CANCELLING": "magenta",
    "CRASHED": "red",
    "PAUSED": "cyan",
}

#: A column of a list: its title and what it shows of a row.
Column = tuple[str, Callable[[Any], object]]


def to_wire(value: Any) -> Any:
    """`value` as JSON types, with the names it has on the wire."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, UUID) else value


def show_json(invocation: Invocation, value: Any) -> None:
    """`value` as one JSON document on stdout."""
    invocation.say(json.dumps(to_wire(value), indent=2, ensure_ascii=False))


def show_list(
    invocation: Invocation,
    output: str,
    rows: Sequence[Any],
    columns: Sequence[Column],
    nothing: str,
) -> None:
    """`rows` as JSON or as a table; `nothing` is said on stderr when a table would be empty."""
    if output == "json":
        show_json(invocation, list(rows))
        return
    if not rows:
        invocation.remark(nothing)
        return
    titles = [title.upper() for title, _ in columns]
    cells = [[show_cell(read(row)) for _, read in columns] for row in rows]
    _write_columns(invocation.out, titles, cells)


def show_details(invocation: Invocation, output: str, value: Any) -> None:
    """One thing: JSON, or a line per field that is set."""
    if output == "json":
        show_json(invocation, value)
        return
    fields = dict(value) if not isinstance(value, Mapping) else value
    width = max((len(name) for name in fields), default=0)
    for name, item in fields.items():
        if item is not None:
            invocation.say(f"{name:<{width}}  {show_cell(item)}")


def show_change(invocation: Invocation, output: str, done: str, value: Mapping[str, Any]) -> None:
    """What a command has changed: the sentence `done`, or `value` as JSON."""
    if output == "json":
        show_json(invocation, value)
    else:
        invocation.say(done)


def show_cell(value: object) -> str:
    """`value` as text on one line; times are local, to the second."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if hasattr(value, "model_dump") or isinstance(value, (dict, list, tuple)):
        return json.dumps(to_wire(value), ensure_ascii=False)
    text = str(getattr(value, "value", value))
    return text if text.isprintable() else " ".join(text.split())


def show_seconds(seconds: float) -> str:
    """A run time for people: `0.42 s`, `12.3 s`, `3m 04s`, `2h 05m`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"


def _write_columns(out: TextIO, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be, never folded: an id or a name is there to be copied."""
    widths = [max(len(row[i]) for row in (titles, *cells)) for i in range(len(titles))]
    coloured = out.isatty()
    for row in (titles, *cells):
        texts = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        texts[-1] = texts[-1].rstrip()
        if coloured:
            texts = [_coloured(title, text) for title, text in zip(titles, texts, strict=True)]
        out.write(f"{'  '.join(texts).rstrip()}\n")


def _coloured(title: str, text: str) -> str:
    if text.strip() == title:
        return click.style(text, bold=True)
    colour = STATE_COLOURS.get(text.strip().upper()) if title in ("STATE", "STATUS") else None
    return click.style(text, fg=colour) if colour else text
