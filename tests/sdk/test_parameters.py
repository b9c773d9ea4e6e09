"""Parameters: bound, checked, described and recorded, without a server."""

import dataclasses
import enum
import sys
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from penstock.sdk import parameters
from penstock.sdk.errors import ParameterError


class Colour(enum.Enum):
    RED = "red"


class Place(BaseModel):
    city: str


@dataclasses.dataclass
class Size:
    width: int


def shop(
    colour: Colour,
    place: Place,
    *sizes: Size,
    size: Size | None = None,
    count: Annotated[int, Field(gt=0)] = 1,
    mode: Literal["a", "b"] = "a",
    **rest: Any,
) -> None:
    """Takes one of everything."""


def test_values_become_what_the_annotations_say() -> None:
    bound = parameters.bind(shop, ("red", {"city": "Oslo"}), {"size": {"width": "3"}, "extra": 1})
    checked = parameters.validate(shop, bound)
    assert checked["colour"] is Colour.RED
    assert checked["place"] == Place(city="Oslo")
    assert checked["size"] == Size(3)
    assert checked["rest"] == {"extra": 1}
    args, kwargs = parameters.call_arguments(shop, checked)
    assert args == (Colour.RED, Place(city="Oslo"))
    assert kwargs["extra"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"colour": "blue"}, "colour: Input should be 'red'"),
        ({"count": 0}, "count: Input should be greater than 0"),
        ({"mode": "c"}, "mode: Input should be 'a' or 'b'"),
        ({"place": {"town": "Oslo"}}, "place.city: Field required"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], message: str) -> None:
    bound = parameters.bind(shop, (), {"colour": "red", "place": {"city": "x"}, **given})
    with pytest.raises(ParameterError, match=message):
        parameters.validate(shop, bound)


def test_the_schema_describes_every_named_parameter() -> None:
    schema = parameters.parameter_schema(shop)
    assert schema["type"] == "object"
    assert list(schema["properties"]) == ["colour", "place", "size", "count", "mode"]
    assert schema["required"] == ["colour", "place"]
    assert schema["properties"]["count"]["exclusiveMinimum"] == 0
    assert schema["properties"]["place"]["$ref"] == "#/definitions/Place"
    assert schema["definitions"]["Place"]["properties"]["city"]["type"] == "string"


def test_a_type_json_cannot_describe_is_left_open() -> None:
    class Opaque:
        pass

    def takes(opaque: Opaque, plain: int = 1, unwritable: Any = object) -> None:
        return None

    schema = parameters.parameter_schema(takes)
    assert schema["properties"]["opaque"] == {"position": 0, "title": "opaque"}
    assert schema["properties"]["plain"]["type"] == "integer"


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    def nothing() -> None:
        return None

    assert parameters.parameter_schema(nothing)["properties"] == {}


def test_plain_values_of_plain_types_are_not_looked_at_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain(a: int, b: str = "x", c: Any = None, d=3) -> None:  # type: ignore[no-untyped-def]
        return None

    monkeypatch.setitem(sys.modules, "pydantic", None)
    bound = {"a": 1, "b": "y", "c": object, "d": None}
    assert parameters.validate(plain, bound) is bound


def test_annotations_that_cannot_be_resolved_are_not_checked() -> None:
    def later(a: "Missing", b: int = 1) -> None:  # type: ignore[name-defined]  # noqa: F821
        return None

    assert parameters.validate(later, {"a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_what_is_recorded_is_json() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    recorded = parameters.recordable(
        {
            "day": date(2026, 1, 2),
            "place": Place(city="Oslo"),
            "names": {"a"},
            "numbers": {1: 2},
            "cyclic": cyclic,
            "odd": "\ud800",
            "large": "x" * 600_000,
        }
    )
    assert recorded["day"] == "2026-01-02"
    assert recorded["place"] == {"city": "Oslo"}
    assert recorded["names"] == ["a"]
    assert recorded["numbers"] == {"1": 2}
    assert recorded["cyclic"] == "[[...]]"
    assert recorded["odd"] == "'\\ud800'"
    assert recorded["large"] == "<str: 600002 bytes>"


@pytest.mark.parametrize(
    "stored",
    [
        {"colour": "red", "place": {"city": "Oslo"}, "sizes": [], "rest": {"a b": 1}},
        {"colour": "red", "place": {"city": "Oslo"}, "a b": 1},
    ],
)
def test_a_record_gives_back_what_the_call_was_given(stored: dict[str, Any]) -> None:
    args, kwargs = parameters.from_stored(shop, stored)
    bound = parameters.bind(shop, args, kwargs)
    assert bound["rest"] == {"a b": 1}
    assert bound["sizes"] == ()
    assert bound["place"] == {"city": "Oslo"}


def test_a_record_gives_back_positional_values() -> None:
    args, _ = parameters.from_stored(
        shop, {"colour": "red", "place": {"city": "Oslo"}, "sizes": [{"width": 1}, {"width": 2}]}
    )
    assert args == ("red", {"city": "Oslo"}, {"width": 1}, {"width": 2})


def test_a_schema_is_closed_to_names_that_the_function_does_not_take() -> None:
    def takes_one(number: int) -> None: ...

    assert parameters.parameter_schema(takes_one)["additionalProperties"] is False
    assert "additionalProperties" not in parameters.parameter_schema(shop)
