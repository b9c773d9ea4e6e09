"""Opaque JSON documents: text in, text out, spelled as the user spelled them."""

import json
import re
from typing import Any

import orjson

#: JSON text that is spliced unparsed into an answer
Fragment = orjson.Fragment
_LONG_NUMBER = re.compile(r"[0-9]{19}")
EMPTY_OBJECT = "{}"
EMPTY_ARRAY = "[]"


def dump(value: Any) -> str:
    """Compact JSON text. Whole numbers of any size keep their digits."""
    try:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(text: str) -> Any:
    """The value of JSON text that `dump` wrote. Whole numbers of any size keep their digits."""
    if _LONG_NUMBER.search(text):  # orjson reads an integer beyond 64 bits as a float
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
