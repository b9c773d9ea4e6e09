"""What the values of options mean."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from penstock.cli.options import Duration, KeyValue, Moment, parse_value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("90", 90),
        ("PT10M", 600),
        ("P1DT1H", 90000),
        ("pt0.5s", 0.5),
    ],
)
def test_a_duration_is_written_in_the_usual_ways(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "10x", "m", "P", "PT", "-5m", "1e3", "9" * 30 + "d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="10s, 5m, 2h"):
        Duration().convert(text, None, None)


def test_a_moment_without_an_offset_is_local_time() -> None:
    moment = Moment().convert("2030-01-31T09:00", None, None)
    assert moment == datetime(2030, 1, 31, 9).astimezone()
    zulu = Moment().convert("2030-01-31T09:00Z", None, None)
    assert zulu == datetime(2030, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "tomorrow", "2030-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time"):
        Moment().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("n=1", ("n", 1)),
        ("name=Ada", ("name", "Ada")),
        ('name="1"', ("name", "1")),
        ("my key = a=b", ("my key", " a=b")),
        ("list=[1, 2]", ("list", [1, 2])),
        ("none=null", ("none", None)),
        ("empty=", ("empty", "")),
    ],
)
def test_a_value_is_json_or_else_text(text: str, pair: tuple[str, object]) -> None:
    assert KeyValue().convert(text, None, None) == pair


@pytest.mark.parametrize("text", ["n", "=1", " =1"])
def test_a_pair_needs_a_key_and_an_equals_sign(text: str) -> None:
    with pytest.raises(click.BadParameter, match="key=value"):
        KeyValue().convert(text, None, None)


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", "[1, NaN]", pytest.param("[" * 100_000, id="deep")],
)
def test_what_json_cannot_hold_is_text(text: str) -> None:
    assert parse_value(text) == text


@pytest.mark.parametrize("text", ["n=99999999999999999999", 'n="\\ud800"'])
def test_a_value_that_cannot_be_sent_is_refused_by_its_key(text: str) -> None:
    with pytest.raises(click.BadParameter, match="'n' cannot be sent"):
        KeyValue().convert(text, None, None)
