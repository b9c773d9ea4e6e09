"""Options and value types that mean the same in every command."""

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_ISO = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)


def parse_duration(text: str) -> timedelta | None:
    """The span that `10s`, `1h30m`, `2d`, `PT15M` or plain seconds name; None for anything else."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if re.fullmatch(rf"(?:{_PARTS.pattern})+", text):
        return timedelta(**_sum_of_parts(_PARTS.findall(text)))
    iso = _ISO.fullmatch(text)
    if iso and (given := {unit: float(n) for unit, n in iso.groupdict().items() if n}):
        return timedelta(**given)
    return None


def _sum_of_parts(parts: Iterable[tuple[str, str]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for number, unit in parts:
        total[_UNITS[unit]] = total.get(_UNITS[unit], 0.0) + float(number)
    return total


class Duration(click.ParamType[timedelta]):
    """A span of time: `10s`, `5m`, `2h`, `1d`, `1h30m`, ISO 8601 (`PT5M`) or plain seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            span = parse_duration(str(value))
        except OverflowError:
            span = None
        if span is None:
            self.fail(f"{value!r} is not a duration; write 10s, 5m, 2h, 1d or PT5M", param, ctx)
        return span


class Entrypoint(click.ParamType[str]):
    """`FILE.py:FLOW`, as text; shells complete the file."""

    name = "entrypoint"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class Moment(click.ParamType[datetime]):
    """A point in time in ISO 8601; without an offset it is local time."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time; write 2030-01-31T09:00 or …T09:00Z", param, ctx)


class KeyValue(click.ParamType[tuple[str, Any]]):
    """`key=value`; the value is JSON where it parses as such, else text. Keys may hold spaces."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not of the form key=value", param, ctx)
        parsed = parse_value(text)
        if reason := why_unsendable(parsed):
            self.fail(f"the value of {key.strip()!r} cannot be sent: {reason}", param, ctx)
        return key.strip(), parsed


def parse_value(text: str) -> Any:
    """The JSON value that `text` spells, else the text itself (also for NaN and 1e999)."""
    try:
        return parse_json(text)
    except ValueError:
        return text


def parse_json(text: str) -> Any:
    """The value of a JSON document; ValueError also for numbers that JSON cannot hold."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is not a JSON number")
    return float(number)


def why_unsendable(value: Any) -> str | None:
    """What keeps `value` from being sent: an integer above 64 bits, broken text. Else None."""
    import orjson

    try:
        orjson.dumps(value)
    except TypeError as error:
        return str(error)
    return None


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

output = click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for programs.",
)
limit = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many at most.",
)
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
param = click.option(
    "--param",
    "-p",
    "params",
    type=KeyValue(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter; the value is JSON, else text. Repeatable.",
)


def tag(help_text: str) -> Decorator:
    """`--tag`, repeatable, as `tags`."""
    return click.option("--tag", "-t", "tags", multiple=True, metavar="TAG", help=help_text)


def pool(help_text: str, required: bool = False) -> Decorator:
    """`--pool`: a work pool's name."""
    return click.option("--pool", "-P", required=required, metavar="NAME", help=help_text)
