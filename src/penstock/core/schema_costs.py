"""How long validating a document may take, estimated before it is done.

A schema's weight times a document's extent gives steps. One step takes up to 0.2 µs.
"""

import re
from collections.abc import Mapping
from typing import Any

#: what a pattern costs on one short text: without, and with, what needs backtracking
_PATTERN, _BACKTRACKING = 20, 10_000
#: look-around, back references, atomic groups, possessive quantifiers
_BACKTRACKS = re.compile(r"\(\?(?:[=!>(]|<[=!])|\\[1-9kKGg]|[*+?}]\+")
#: characters of a text that count as one more part
_TEXT_SHIFT = 6

_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"allOf", "prefixItems"})
#: their errors hold the errors of all alternatives, at every level again
_CHOICES = frozenset({"anyOf", "oneOf"})
_SINGLE = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)
#: they look again at what stands beside them, at every level
_AGAIN = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_VALUES = frozenset({"enum", "const", "required"})
#: they may lead anywhere, so nothing is known about how long they take
_UNKNOWN = frozenset({"$dynamicRef", "$recursiveRef", "dependencies"})
_UNKNOWN_WEIGHT = 10**9


def parts(value: Any) -> int:
    """How many values there are in a value, itself included."""
    if isinstance(value, Mapping):
        return 1 + sum(map(parts, value.values()))
    if isinstance(value, (list, tuple)):
        return 1 + sum(map(parts, value))
    return 1


def extent(document: Any, most: int) -> int:
    """How many parts a document has, long texts as several; beyond `most` it stops counting."""
    count, left = 0, [document]
    while left and count <= most:
        value = left.pop()
        count += 1
        if isinstance(value, str):
            count += len(value) >> _TEXT_SHIFT
        elif isinstance(value, dict):
            count += sum(map(len, value)) >> _TEXT_SHIFT
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return count


class SchemaCost:
    """What a schema costs, none of whose references leads back to itself."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._followed: dict[str, int] = {}
        #: the patterns to compile
        self.patterns = 0
        #: the steps for one part of a document, references followed
        self.weight = self._of(schema)

    def _of(self, schema: Any) -> int:
        if not isinstance(schema, Mapping):
            return 1
        weight = 1 + sum(self._of_keyword(key, value) for key, value in schema.items())
        return 3 * weight if _AGAIN & schema.keys() else weight

    def _of_keyword(self, key: str, value: Any) -> int:
        if key in _MAPS and isinstance(value, Mapping):
            weight = sum(map(self._of, value.values()))
            return weight + (sum(map(self._of_pattern, value)) if key == "patternProperties" else 0)
        if key in _LISTS or key in _CHOICES:
            weight = sum(map(self._of, value)) if isinstance(value, list) else 1
            return 2 * weight if key in _CHOICES else weight
        if key in _SINGLE or key in _AGAIN:
            return self._of(value)
        if key == "pattern":
            return self._of_pattern(value)
        if key == "$ref" and isinstance(value, str):
            return self._of_reference(value)
        if key in _UNKNOWN:
            return _UNKNOWN_WEIGHT
        return parts(value) if key in _VALUES else 1

    def _of_reference(self, target: str) -> int:
        if target not in self._followed:
            self._followed[target] = self._of(resolved(self._root, target))
        return self._followed[target]

    def _of_pattern(self, pattern: Any) -> int:
        self.patterns += 1
        hard = isinstance(pattern, str) and _BACKTRACKS.search(pattern)
        return _BACKTRACKING if hard else _PATTERN


def resolved(root: Any, reference: str) -> Any:
    """What a JSON pointer points at; None when nothing is there, which compiling will tell."""
    value: Any = root
    for part in reference.lstrip("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
