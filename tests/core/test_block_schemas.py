"""Checksums that clients compute, too; what is nested in a schema; which values are secret."""

from typing import Any

import pytest

from penstock.core.block_schemas import (
    MASK,
    block_schema_checksum,
    masked,
    nested_schemas,
    secret_paths,
    with_kept_secrets,
)

SIZE = {
    "properties": {"factor": {"default": 1.0, "title": "Factor", "type": "number"}},
    "title": "Size",
    "type": "object",
}
WINDOW: dict[str, Any] = {
    "block_schema_references": {},
    "block_type_slug": "window",
    "properties": {"panes": {"default": 2, "title": "Panes", "type": "integer", "position": 0}},
    "secret_fields": [],
    "title": "Window",
    "type": "object",
}
BARE_DOOR: dict[str, Any] = {
    "block_schema_references": {},
    "block_type_slug": "door",
    "description": "d",
    "properties": {
        "key": {
            "format": "password",
            "title": "Key",
            "type": "string",
            "writeOnly": True,
            "position": 0,
        },
        "size": {"$ref": "#/definitions/Size", "default": {"factor": 1.0}, "position": 1},
        "note": {"$ref": "#/definitions/JsonValue", "default": None, "position": 2},
    },
    "required": ["key"],
    "secret_fields": ["key"],
    "title": "Door",
    "type": "object",
}
DOOR = {**BARE_DOOR, "definitions": {"JsonValue": {}, "Size": SIZE}}
OF_WINDOW = "sha256:dbd23ee16b19b438c3ec4e31ec3074a5ae0f4b16c263ab3093f5085016d61bf1"
OF_DOOR = "sha256:b992c092e8c51249a3375dfb9cd58fcc130426086c77ad0d6b3f6fcf52b00beb"
OF_HOUSE = "sha256:81c25d7b3a522cede6a83a0c62f253b4932ccfed3701b89acf3e5bc3b41ee55e"


def a_reference(slug: str, checksum: str) -> dict[str, str]:
    return {"block_type_slug": slug, "block_schema_checksum": checksum}


HOUSE: dict[str, Any] = {
    "block_schema_references": {
        "back": [a_reference("door", OF_DOOR), a_reference("window", OF_WINDOW)],
        "front": a_reference("door", OF_DOOR),
    },
    "block_type_slug": "house",
    "description": "Ein Häuschen",
    "properties": {
        "front": {"$ref": "#/definitions/Door", "position": 0},
        "back": {
            "anyOf": [{"$ref": "#/definitions/Door"}, {"$ref": "#/definitions/Window"}],
            "title": "Back",
            "position": 1,
        },
        "size": {"$ref": "#/definitions/Size", "default": {"factor": 1.0}, "position": 2},
    },
    "required": ["front", "back"],
    "secret_fields": ["front.key", "back.key"],
    "title": "House",
    "type": "object",
    "definitions": {"Door": BARE_DOOR, "JsonValue": {}, "Size": SIZE, "Window": WINDOW},
}


@pytest.mark.parametrize(
    ("fields", "checksum"), [(WINDOW, OF_WINDOW), (DOOR, OF_DOOR), (HOUSE, OF_HOUSE)]
)
def test_checksums_are_those_that_the_client_computes(
    fields: dict[str, Any], checksum: str
) -> None:
    """As prefect 3.8.8 gives them for blocks of these fields."""
    assert block_schema_checksum(fields) == checksum


def test_a_checksum_depends_on_the_spelling_of_numbers_but_not_on_the_order_of_keys() -> None:
    backwards = dict(reversed(WINDOW.items()))
    assert block_schema_checksum(backwards) == OF_WINDOW
    whole = {**DOOR, "definitions": {"Size": {**SIZE, "properties": {"factor": {"default": 1}}}}}
    float_ = {**DOOR, "definitions": {"Size": {**SIZE, "properties": {"factor": {"default": 1.0}}}}}
    assert block_schema_checksum(whole) != block_schema_checksum(float_)


def test_definitions_that_nothing_refers_to_do_not_count() -> None:
    more = {**DOOR, "definitions": {**DOOR["definitions"], "Unused": {"type": "string"}}}
    assert block_schema_checksum(more) == OF_DOOR
    assert block_schema_checksum({**WINDOW, "definitions": {}}) == OF_WINDOW


def test_nested_schemas_are_whole_schemas_of_their_own() -> None:
    nested = dict(nested_schemas(HOUSE))
    assert nested.keys() == {"door", "window"}
    assert block_schema_checksum(nested["door"]) == OF_DOOR
    assert block_schema_checksum(nested["window"]) == OF_WINDOW
    assert nested["door"]["definitions"].keys() == {"Size", "JsonValue"}


@pytest.mark.parametrize(
    "fields", [{}, {"definitions": []}, {"definitions": {"a": 1, "b": {"block_type_slug": 1}}}]
)
def test_schemas_of_odd_shape_nest_nothing(fields: dict[str, Any]) -> None:
    assert list(nested_schemas(fields)) == []


def test_paths_to_secrets_end_before_the_first_wildcard() -> None:
    fields = {"secret_fields": ["a", "b.c", "d.*", "e.*.f", "*", "", 3]}
    assert secret_paths(fields) == [("a",), ("b", "c"), ("d",), ("e",), ()]
    assert secret_paths({"secret_fields": "a"}) == secret_paths({}) == []


DATA: dict[str, Any] = {
    "a": "x",
    "b": {"c": 1, "open": 2},
    "d": {"k": "y", "deep": {"l": ["z"]}, "none": None},
    "many": [{"c": "1"}, {"c": "2", "open": 3}, 4],
}
PATHS = [("a",), ("b", "c"), ("d",), ("many", "c"), ("missing", "x"), ("a", "too", "deep")]


def test_secrets_are_masked_wherever_they_stand() -> None:
    assert masked(DATA, PATHS) == {
        "a": MASK,
        "b": {"c": MASK, "open": 2},
        "d": {"k": MASK, "deep": {"l": MASK}, "none": None},
        "many": [{"c": MASK}, {"c": MASK, "open": 3}, 4],
    }
    assert masked(DATA, [()])["b"] == {"c": MASK, "open": MASK}
    assert DATA["a"] == "x"  # what was given is not changed


def test_masked_secrets_that_come_back_are_the_old_ones() -> None:
    assert with_kept_secrets(masked(DATA, PATHS), DATA, PATHS) == DATA
    changed = {"a": MASK, "b": {"c": "new"}, "d": {"k": MASK, "more": MASK}, "many": [MASK]}
    assert with_kept_secrets(changed, DATA, PATHS) == {
        "a": "x",
        "b": {"c": "new"},
        "d": {"k": "y", "more": MASK},
        "many": [MASK],
    }
    assert with_kept_secrets({"open": MASK}, {"open": 1}, PATHS) == {"open": MASK}
    assert with_kept_secrets({"many": [{"c": MASK}] * 3}, DATA, [("many", "c")]) == {
        "many": [{"c": "1"}, {"c": "2"}, {"c": MASK}]
    }


def test_references_to_what_is_not_there_are_left_alone() -> None:
    inner = {"block_type_slug": "x", "$ref": "#/definitions/none"}
    assert list(nested_schemas({"definitions": {"X": inner}})) == [("x", inner)]
