"""The operations of the contract, and the bodies that they refuse."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "contract"


@cache
def document() -> dict[str, Any]:
    """The contract's OpenAPI document."""
    contract: dict[str, Any] = json.loads((FOLDER / "openapi-v3.json").read_text())
    return contract


@cache
def served_operations() -> frozenset[str]:
    """The operations that our server has, as `POST /flows/filter`."""
    return frozenset((FOLDER / "conforming.txt").read_text().split("\n")) - {""}


def body_of(operation: str) -> dict[str, Any] | None:
    """The schema of an operation's body, its reference resolved; None when it has none."""
    method, path = operation.split(" ")
    described = document()["paths"][path][method.lower()]
    content = described.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    return resolve(content["application/json"]["schema"])


def body_is_required(operation: str) -> bool:
    """Whether an operation is nothing without a body."""
    method, path = operation.split(" ")
    body: dict[str, Any] = document()["paths"][path][method.lower()]["requestBody"]
    return bool(body.get("required", False))


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with the references at its top replaced by what they name."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].split("/")[-1]]
    if len(schema.get("allOf", [])) == 1:
        return resolve(schema["allOf"][0])
    return schema


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """The JSON types that a schema allows."""
    schema = resolve(schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return {kind for branch in schema[key] for kind in kinds_of(branch)}
    if "const" in schema or "enum" in schema:
        return {"string"}
    return {schema.get("type", "any")}
