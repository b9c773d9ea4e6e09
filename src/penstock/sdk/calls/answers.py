"""What an answer's bytes become, and small pieces of requests."""

from __future__ import annotations

import functools
import importlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

Id = uuid.UUID | str
Fields = Mapping[str, Any]

ATTEMPT_HEADER = "Penstock-Attempt"


def one(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses one contract model; the model is imported when the first answer arrives."""
    return lambda content: _model(module, name).model_validate_json(content)


def many(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses a list of a contract model."""
    return lambda content: _list_adapter(module, name).validate_json(content)


@functools.cache
def _model(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"penstock.contract.rest.{module}"), name)


@functools.cache
def _list_adapter(module: str, name: str) -> Any:
    from pydantic import TypeAdapter

    listed: Any = list[_model(module, name)]  # type: ignore[misc]
    return TypeAdapter(listed)


def results(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses a contract model that wraps a list: the list in it."""
    return lambda content: _model(module, name).model_validate_json(content).results


def optional_by_id(module: str, name: str) -> Callable[[bytes], Any]:
    """Parses a dictionary of ids to a contract model or None."""
    return lambda content: {
        uuid.UUID(key): None if value is None else _model(module, name).model_validate(value)
        for key, value in orjson.loads(content).items()
    }


def plain(content: bytes) -> Any:
    """The plain JSON."""
    return orjson.loads(content)


def nothing(_content: bytes) -> None:
    """None, whatever was answered."""
    return


def number(content: bytes) -> int:
    """A whole number."""
    return int(content)


def text(content: bytes) -> str:
    """A string."""
    return str(orjson.loads(content))


def plain_text(content: bytes) -> str:
    """The bytes as text, unparsed."""
    return content.decode()


def optional_number(content: bytes) -> float | None:
    """A number, or None."""
    value = orjson.loads(content)
    return None if value is None else float(value)


def number_by_id(content: bytes) -> dict[uuid.UUID, int]:
    """A dictionary of ids to whole numbers."""
    return {uuid.UUID(key): int(value) for key, value in orjson.loads(content).items()}


def deleted_ids(content: bytes) -> list[uuid.UUID]:
    """The ids of what was deleted."""
    return [uuid.UUID(key) for key in orjson.loads(content)["deleted"]]


def id_of(content: bytes) -> uuid.UUID:
    """The id of what was created or found."""
    return uuid.UUID(orjson.loads(content)["id"])


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
