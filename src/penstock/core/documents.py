"""Opaque JSON documents: text in, text out, spelled as the user spelled them."""

import json
from typing import Any

import orjson

#: JSON text that is spliced unparsed into an answer
Fragment = orjson.Fragment
EMPTY_OBJECT = "{}"
EMPTY_ARRAY = "[]"


def dump(value: Any) -> str:
    """Compact JSON text. Whole numbers of any size keep their digits."""
    try:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(text: str) -> Any:
    """The value of JSON text that `dump` wrote."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
