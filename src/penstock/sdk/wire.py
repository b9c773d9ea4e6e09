"""One wire operation as a value (`Call`), and the exchange that carries it out, without I/O.

`exchange()` is a generator: it yields requests and waits, and is sent answers. `client.py` holds
the two drivers, one that blocks and one that awaits.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePath
from typing import Any, Generic, TypeVar

import orjson

from penstock.sdk.errors import ApiError, Unavailable, error_from_answer
from penstock.sdk.settings import Settings

T = TypeVar("T")

RETRIED_STATUSES = frozenset({408, 429, 502, 503})
MAX_RETRIES = 5
LONGEST_WAIT_SECONDS = 30.0
DEFAULT_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One operation of the contract, ready to be sent."""

    method: str
    path: str
    #: turns the answer's bytes into what the caller gets
    parse: Callable[[bytes], T]
    #: encoded as JSON; None sends no body
    body: Any = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: False when sending it twice could do the thing twice
    repeatable: bool = True
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class Request:
    """What the driver sends: the body is encoded, the path still relative to the API root."""

    method: str
    path: str
    content: bytes | None
    headers: Mapping[str, str]
    query: Mapping[str, str] | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """The driver sleeps this long before the next try."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content: bytes
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came; `sent` is False when the server cannot have seen the request."""

    reason: str
    sent: bool


Exchange = Generator[Request | Wait, Reply | Failure | None, bytes]


def exchange(call: Call[Any], headers: Mapping[str, str]) -> Exchange:
    """Sends the call, repeats it where that is safe, and returns the bytes of a good answer."""
    request = _request(call, headers)
    for tried in range(MAX_RETRIES + 1):
        answer = yield request
        assert answer is not None
        if isinstance(answer, Reply) and answer.status < 400:
            return answer.content
        error = _error(call, answer)
        if tried == MAX_RETRIES or not _may_repeat(call, answer):
            raise error
        yield Wait(_wait_seconds(answer, tried))
    raise AssertionError("unreachable")


#: shows a server with CSRF protection that no web page sends this: a page cannot set it
CLIENT_HEADER = {"Penstock-Client": "python"}


def auth_headers(settings: Settings) -> dict[str, str]:
    """The headers that authenticate every request; Basic wins when both are configured."""
    if settings.api_auth_string:
        token = base64.b64encode(settings.api_auth_string.encode()).decode()
        return {"Authorization": f"Basic {token}"}
    if settings.api_key:
        return {"Authorization": f"Bearer {settings.api_key}"}
    return {}


def encode(body: Any) -> bytes:
    """The body as JSON; knows ids, times, durations, sets, paths and pydantic models."""
    return orjson.dumps(body, default=_encodable, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _encodable(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", exclude_unset=True)
    seconds = getattr(value, "total_seconds", None)
    if seconds is not None:
        return seconds()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _request(call: Call[Any], headers: Mapping[str, str]) -> Request:
    content = None if call.body is None else encode(call.body)
    merged = {**CLIENT_HEADER, **headers, **call.headers}
    if content is not None:
        merged["Content-Type"] = "application/json"
    return Request(call.method, call.path, content, merged, call.query, call.timeout_seconds)


def _may_repeat(call: Call[Any], answer: Reply | Failure) -> bool:
    if isinstance(answer, Failure):
        return call.repeatable or not answer.sent
    if call.repeatable:
        return answer.status in RETRIED_STATUSES
    # 503 says that nothing was done; 429 never reached the operation either
    return answer.status in (429, 503)


def _wait_seconds(answer: Reply | Failure, tried: int) -> float:
    asked = _retry_after(answer.retry_after) if isinstance(answer, Reply) else None
    seconds = asked if asked is not None else 0.2 * 2.0**tried
    return min(seconds, LONGEST_WAIT_SECONDS) * random.uniform(1.0, 1.2)


def _retry_after(value: str | None) -> float | None:
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _reason(failure: Failure) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", failure.reason)


def _error(call: Call[Any], answer: Reply | Failure) -> ApiError:
    request = f"{call.method} {call.path}"
    if isinstance(answer, Failure):
        return Unavailable(
            f"{request}: no answer from the server, {_reason(answer)} "
            "(is it running? `penstock server start`, or check PENSTOCK_API_URL)"
        )
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = answer.content.decode(errors="replace")
    error = error_from_answer(answer.status, body, request)
    error.retry_after = _retry_after(answer.retry_after)
    return error
