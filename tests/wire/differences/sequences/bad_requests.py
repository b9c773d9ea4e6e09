"""For every operation: ids that are not there, and bodies that the contract refuses."""

from typing import Any

from tests.wire.differences.contract import body_is_required, body_of, kinds_of, served_operations
from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence

#: a value of each JSON type, to be sent where another type is asked for
SAMPLES: dict[str, Any] = {
    "string": "neither number nor list",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
    "array": ["a"],
    "object": {"no_such_key": 1},
    "null": None,
}
#: what goes into the paths
PLACES: dict[str, str] = {
    "countable": "day",
    "view": "aggregate-worker-metadata",
}
#: lists of what is there without anybody's doing: they are not asked for all of it
NEVER_EMPTY = ("/events", "/block_types", "/block_schemas")
LIMITS = (200, 201, -1, 0, "many")


def _values(path: str, *, is_id: bool = True) -> dict[str, str]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    missing = NOWHERE if is_id else "not-an-id"
    return {
        name: PLACES.get(name, missing if name.endswith("id") else "nothing-has-this-name")
        for name in names
    }


def _split(operation: str) -> tuple[str, str]:
    method, path = operation.split(" ")
    return method, path


@sequence
def bad_bodies(pair: Pair) -> None:
    """Not JSON, not an object, an unknown field, each field of each type that it is not."""
    for operation in sorted(served_operations()):
        method, path = _split(operation)
        schema = body_of(operation)
        if schema is None:
            continue
        values = _values(path)
        pair.call(method, path, None, content=b"{", **values)
        if not body_is_required(operation) and not path.startswith(NEVER_EMPTY):
            pair.call(method, path, None, content=b"", **values)
        pair.call(method, path, "text", **values)
        pair.call(method, path, [], **values)
        if not path.startswith(NEVER_EMPTY):
            pair.call(method, path, {"no_such_field": 1}, **values)
        for name, field in schema.get("properties", {}).items():
            for sample in _wrong(kinds_of(field)):
                pair.call(method, path, {name: sample}, **values)


def _wrong(kinds: set[str]) -> list[Any]:
    """Values of types that a field does not take: few, the ones most unlike it."""
    if "any" in kinds:
        return []
    if "number" in kinds:
        kinds = kinds | {"integer"}
    order = ("object", "array", "string", "boolean", "null", "integer")
    wrong = [name for name in order if name not in kinds]
    # Text is read as a number and a number as a truth value where that loses nothing.
    return [SAMPLES[name] for name in wrong][:3]


@sequence
def unknown_ids(pair: Pair) -> None:
    """An id or name that nothing has, and a text that is no id at all."""
    for operation in sorted(served_operations()):
        method, path = _split(operation)
        if "{" not in path:
            continue
        body = _smallest_body(operation)
        pair.call(method, path, body, **_values(path))
        pair.call(method, path, body, **_values(path, is_id=False))


def _smallest_body(operation: str) -> Any:
    schema = body_of(operation)
    if schema is None:
        return None
    if schema.get("type") == "array":
        return []
    body = {}
    for name in schema.get("required", []):
        kinds = kinds_of(schema["properties"][name])
        body[name] = SAMPLES["string" if "string" in kinds else sorted(kinds)[0]]
    if operation.startswith("POST /events"):
        body["filter"] = {"event": {"name": ["nothing.is.named.so"]}}
    if operation == "POST /block_types/filter":
        body["block_types"] = {"slug": {"any_": ["nothing-has-this-slug"]}}
    if operation == "POST /block_schemas/filter":
        body["block_schemas"] = {"version": {"any_": ["nothing-has-this-version"]}}
    if "set_state" in operation:
        body["state"] = {"type": "RUNNING"}
    return body


@sequence
def limits_and_offsets(pair: Pair) -> None:
    """`limit`, `offset` and `page` in and out of range, wherever a body has them."""
    for operation in sorted(served_operations()):
        method, path = _split(operation)
        fields = (body_of(operation) or {}).get("properties", {})
        for name in ("limit", "offset", "page"):
            if name in fields:
                for value in LIMITS:
                    body = _smallest_body(operation) | {name: value}
                    pair.call(method, path, body, **_values(path))


@sequence
def requests_of_other_versions(pair: Pair) -> None:
    """The header with the protocol's version: too old, malformed, newer."""
    for version in ("0.8.4", "0.8.3", "0.7.9", "1.0.0", "0.8", "x.y.z", ""):
        header = {"X-PREFECT-API-VERSION": version}
        for path in ("/health", "/version", "/hello", "/ready", "/admin/version"):
            pair.get(path, headers=header)
        pair.post("/flows/filter", {"limit": 0}, headers=header)
