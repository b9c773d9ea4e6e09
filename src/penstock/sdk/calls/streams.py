"""Logs and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from penstock.sdk.calls.answers import ATTEMPT_HEADER, Fields, Id, many, nothing, one
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.events import EventCount, EventPage
    from penstock.contract.rest.logs import Log


def create_logs(logs: Sequence[Fields]) -> Call[None]:
    """Stores log lines."""
    return Call("POST", "/logs/", nothing, logs)


def read_logs(**filter_body: Any) -> Call[list[Log]]:
    """The log lines that match `logs`, `sort`, `limit`, `offset`."""
    return Call("POST", "/logs/filter", many("logs", "Log"), filter_body)


def create_events(events: Sequence[Fields], *, attempt_id: Id | None = None) -> Call[None]:
    """Stores events; an event whose id is known is not stored again."""
    headers = {ATTEMPT_HEADER: str(attempt_id)} if attempt_id else {}
    return Call("POST", "/events", nothing, events, headers=headers)


def read_events(**filter_body: Any) -> Call[EventPage]:
    """The first page of the events that match `filter`, `limit` of them."""
    return Call("POST", "/events/filter", one("events", "EventPage"), filter_body)


def read_next_events(next_page: str) -> Call[EventPage]:
    """The page that `next_page` of the page before leads to: its address, or the token in it."""
    token = parse_qs(urlsplit(next_page).query).get("page-token", [next_page])[0]
    path, parse = "/events/filter/next", one("events", "EventPage")
    return Call("GET", path, parse, query={"page-token": token})


def count_events_by(countable: str, *, filter: Any, **spans: Any) -> Call[list[EventCount]]:
    """How many events match, by `event`, `resource`, `day` or `time`.

    By `time` the spans are `time_interval` times a `time_unit`.
    """
    path = f"/events/count-by/{countable}"
    return Call("POST", path, many("events", "EventCount"), {"filter": filter, **spans})
