"""Which schemas and documents are taken for slow before anything is validated."""

from typing import Any

import pytest

from penstock.core.parameter_schemas import CompiledSchema
from penstock.core.schema_costs import extent


def of(x: Any, **more: Any) -> dict[str, Any]:
    """A schema of an object with the property `x`."""
    return {"type": "object", "properties": {"x": x}, **more}


def doubling(levels: int, choice: str = "anyOf") -> dict[str, Any]:
    """A small schema whose references lead twice to each next one: 2^levels ways."""
    pairs = {
        f"d{i}": {choice: [{"$ref": f"#/$defs/d{i + 1}"}] * 2, "title": str(i)}
        for i in range(levels)
    }
    return of({"$ref": "#/$defs/d0"}, **{"$defs": {**pairs, f"d{levels}": {"type": "string"}}})


PATTERNS = [{"pattern": f"^[a-z]+({i})?$"} for i in range(100)]
BACKTRACKING = {"pattern": r"^(a|aa)+\1b$"}
AGAIN: dict[str, Any] = of(True)
for _ in range(14):
    AGAIN = {"allOf": [AGAIN], "unevaluatedProperties": False}


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        (of({"items": {"anyOf": [{"const": i} for i in range(200)]}}), {"x": [1] * 10_000}),
        (of({"items": {"allOf": PATTERNS}}), {"x": ["a"] * 29_000}),
        (of({"allOf": PATTERNS}), {"x": "a" * 1_000_000}),
        ({"propertyNames": {"allOf": PATTERNS}}, {f"k{'x' * 1000}{i}": 1 for i in range(100)}),
        ({"patternProperties": {f"^k{i}": {} for i in range(150)}}, dict.fromkeys("abc" * 9, "")),
        (of({"items": BACKTRACKING}), {"x": ["a" * 300] * 100}),
        (doubling(20), {"x": 1}),
        (doubling(20, "allOf"), {"x": 1}),
        (AGAIN, {"x": 1}),
        ({"$dynamicAnchor": "a", **of({"$dynamicRef": "#a"})}, {"x": 1}),
        ({"dependencies": {"x": {"$ref": "#"}}}, {"x": 1}),
        ({"properties": {f"p{i}": {"type": "string"} for i in range(20_000)}}, {}),
        ({"properties": {f"p{i}": {"pattern": "^(?=a)a"} for i in range(500)}}, {}),
    ],
    ids=range(13),
)
def test_what_takes_long_is_known_before(schema: Any, document: Any) -> None:
    if "patternProperties" in schema:
        document = {f"{k}{i}": v for k, v in document.items() for i in range(200)}
    assert CompiledSchema(schema).is_slow_for(document)


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({}, {"x": list(range(100_000))}),
        (of({"type": "string", "pattern": "^[a-z]+$"}), {"x": "a" * 100_000}),
        (of(BACKTRACKING), {"x": "aab"}),
        (of({"enum": list(range(1000))}), {"x": [{}] * 100}),
        ({"properties": {f"p{i}": {"type": "string", "default": ""} for i in range(500)}}, {}),
        (doubling(4), {"x": 1}),
    ],
    ids=range(6),
)
def test_the_usual_is_not_slow(schema: Any, document: Any) -> None:
    assert not CompiledSchema(schema).is_slow_for(document)


def test_an_extent_counts_values_and_long_texts_and_stops_early() -> None:
    assert extent({"a": [1, "b", {}], "c": None}, 100) == 6
    assert extent("a" * 640, 100) == 11
    assert extent({"a" * 640: 1}, 100) == 12
    assert extent(list(range(1000)), 10) == 11
