"""What the server tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from penstock.sdk.calls.answers import one, text
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.server import ReadyMessage


def read_version() -> Call[str]:
    """The version of the server's product."""
    return Call("GET", "/admin/version", text)


def read_health() -> Call[bool]:
    """True when the server answers."""
    return Call("GET", "/health", lambda content: bool(orjson.loads(content)), timeout_seconds=5)


def read_ready() -> Call[ReadyMessage]:
    """Answers when the server can work on its database; raises Unavailable when it cannot."""
    return Call("GET", "/ready", one("server", "ReadyMessage"), timeout_seconds=5)


def read_api_version() -> Call[str]:
    """The version of the protocol, unrelated to the product's."""
    return Call("GET", "/version", text)


def hello() -> Call[str]:
    """A greeting."""
    return Call("GET", "/hello", text)
