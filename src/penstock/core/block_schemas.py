"""Block schemas: their checksums, what is nested in them, and which values are secret."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

#: what is shown in place of a secret
MASK = "********"
_DEFINITION = "#/definitions/"

Fields = Mapping[str, Any]
#: where a secret stands: keys from the outermost in; everything below it is secret, too
SecretPath = tuple[str, ...]


def block_schema_checksum(fields: Fields) -> str:
    """The checksum by which clients find a schema that they know: they compute the same.

    It depends on the spelling of numbers (`1.0` is not `1`), not on the order of keys.
    """
    told = _without_secret_fields(fields)
    definitions = told.pop("definitions", None)
    if isinstance(definitions, dict):
        used = set(_references({**told, "definitions": definitions}))
        kept = {
            name: definition
            for name, definition in definitions.items()
            # compat: the prefect 3.8.8 client leaves out one that says nothing (`JsonValue`)
            if definition and name in used and not _is_block(definition)
        }
        if kept:
            told["definitions"] = kept
    text = json.dumps([[told], {}], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _without_secret_fields(value: Any) -> Any:
    # compat: the prefect 3.8.8 client looks into objects for them, not into lists
    if not isinstance(value, Mapping):
        return value
    return {k: _without_secret_fields(v) for k, v in value.items() if k != "secret_fields"}


def _is_block(definition: Any) -> bool:
    return isinstance(definition, Mapping) and "block_type_slug" in definition


def _references(value: Any) -> Iterator[str]:
    """The names of the definitions that are referred to anywhere in a schema."""
    if isinstance(value, Mapping):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith(_DEFINITION):
            yield target.removeprefix(_DEFINITION)
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def nested_schemas(fields: Fields) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of other block types among the definitions: (slug of the type, fields).

    One by one: each holds the definitions that it needs, so together they may be far larger than
    the schema they are from.
    """
    definitions = fields.get("definitions")
    if not isinstance(definitions, Mapping):
        return
    for definition in definitions.values():
        if not _is_block(definition) or not isinstance(definition["block_type_slug"], str):
            continue
        own = {k: v for k, v in definition.items() if k != "definitions"}
        needed = _reachable(own, definitions)
        if needed:
            own["definitions"] = needed
        yield definition["block_type_slug"], own


def _reachable(schema: Fields, definitions: Fields) -> dict[str, Any]:
    """The definitions that a schema refers to, directly or by one another."""
    needed: dict[str, Any] = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in needed:
            needed[name] = definitions[name]
            waiting.extend(_references(definitions[name]))
    return needed


# ------------------------------------------------------------------ secrets


def secret_paths(fields: Fields) -> list[SecretPath]:
    """Where the secrets stand in the data of a schema's documents.

    Paths are dotted; `*` stands for every key, and all that is below it is secret.
    """
    listed = fields.get("secret_fields")
    if not isinstance(listed, list):
        return []
    paths = []
    for path in listed:
        if isinstance(path, str) and path:
            keys = path.split(".")
            paths.append(tuple(keys[: keys.index("*")] if "*" in keys else keys))
    return paths


def masked(data: dict[str, Any], paths: list[SecretPath]) -> dict[str, Any]:
    """The data with asterisks in place of the secrets."""
    hidden: Any = data
    for path in paths:
        hidden = _masked_at(hidden, path)
    return hidden if isinstance(hidden, dict) else {}


def _masked_at(value: Any, path: SecretPath) -> Any:
    if not path:
        return _masked_leaves(value)
    if isinstance(value, dict):
        key, inner = path[0], path[1:]
        return {**value, key: _masked_at(value[key], inner)} if key in value else value
    if isinstance(value, list):
        return [_masked_at(element, path) for element in value]
    return value


def _masked_leaves(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return {k: _masked_leaves(v) for k, v in value.items()}
    return MASK


def with_kept_secrets(
    data: dict[str, Any], old: Mapping[str, Any], paths: list[SecretPath]
) -> dict[str, Any]:
    """New data in which a secret that came back as asterisks is the old one."""
    kept: Any = data
    for path in paths:
        kept = _kept_at(kept, old, path)
    return kept if isinstance(kept, dict) else {}


def _kept_at(value: Any, old: Any, path: SecretPath) -> Any:
    if not path:
        return _kept_leaves(value, old)
    key, inner = path[0], path[1:]
    if isinstance(value, dict) and isinstance(old, Mapping) and key in value and key in old:
        return {**value, key: _kept_at(value[key], old[key], inner)}
    if isinstance(value, list) and isinstance(old, list):
        return [_kept_at(v, o, path) for v, o in zip(value, old, strict=False)] + value[len(old) :]
    return value


def _kept_leaves(value: Any, old: Any) -> Any:
    if value == MASK:
        return old
    if isinstance(value, dict) and isinstance(old, Mapping):
        return {k: _kept_leaves(v, old[k]) if k in old else v for k, v in value.items()}
    return value
