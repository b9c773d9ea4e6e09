"""Websockets that send what happens: `/events/out` and `/logs/out`.

After the handshake the client says what it wants (rest-v3 §6.3, 6.4).
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.websockets import WebSocket

from penstock.api.streams import streams
from penstock.api.websockets.handshake import (
    PROTOCOL_ERROR,
    Refused,
    converse,
    receive,
    until_one_ends,
)
from penstock.contract.enums import EventOrder
from penstock.contract.rest.events import EventFilter, EventOccurredFilter
from penstock.contract.rest.logs import LogFilter
from penstock.core.event_rules import event_test, log_test, name_test
from penstock.operations.hub import Subscription
from penstock.operations.streams import Streams
from penstock.store.events import EventKey, event_shape, page_events

F = TypeVar("F")

BACKFILL = timedelta(minutes=15)
BACKFILL_PAGE = 250
#: how much later than the store a live event may come, from another server
OVERLAP = timedelta(minutes=1)


class _Wanted(BaseModel):
    """The message that says what to send."""

    model_config = ConfigDict(extra="ignore")

    type: str
    filter: Any = None
    backfill: bool = True


_WANTED = TypeAdapter(_Wanted)
_EVENT_FILTER = TypeAdapter(EventFilter)
_LOG_FILTER = TypeAdapter(LogFilter)


async def events_out(websocket: WebSocket) -> None:
    """Send the events that the client's filter wants: the past, if asked for, then live ones."""
    await converse(websocket, _send_events)


async def logs_out(websocket: WebSocket) -> None:
    """Send the log lines that the client's filter wants, as they come in."""
    await converse(websocket, _send_logs)


async def _receive_filter(websocket: WebSocket, adapter: TypeAdapter[F]) -> tuple[F, bool]:
    message = await receive(websocket, PROTOCOL_ERROR)
    if message.get("type") != "filter":
        raise Refused(PROTOCOL_ERROR, "Expected a message of type filter")
    try:
        wanted = _WANTED.validate_python(message)
        filter = {} if wanted.filter is None else wanted.filter
        # JSON once more, since in it a time may be text
        return adapter.validate_json(orjson.dumps(filter)), wanted.backfill
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(PROTOCOL_ERROR, f"Invalid filter: {place}: {first['msg']}") from None


async def _send_events(websocket: WebSocket) -> None:
    filter, backfill = await _receive_filter(websocket, _EVENT_FILTER)
    found, wants = streams(websocket), event_test(filter)
    wants_name = None if filter.event is None else name_test(filter.event)
    sent: set[UUID] = set()
    with found.hub.events.subscription(wants, wants_name) as subscription:
        if backfill:
            again = _may_come_again(found)
            async for page in _past(found, filter):
                await _send_new(websocket, page, sent, again)
            oldest = datetime.now(UTC) - BACKFILL
            recent = [e for e in found.hub.events.recent if e["occurred"] >= oldest and wants(e)]
            recent.sort(key=lambda e: e["occurred"])
            await _send_new(websocket, recent, sent, again)
        await _forward(websocket, subscription, "event", sent)


async def _past(found: Streams, filter: EventFilter) -> AsyncIterator[list[dict[str, Any]]]:
    oldest = datetime.now(UTC) - BACKFILL
    since = max(filter.occurred.since or oldest, oldest)
    occurred = EventOccurredFilter(since=since, until=filter.occurred.until)
    past = filter.model_copy(update={"occurred": occurred, "order": EventOrder.ASC})
    after: EventKey | None = None
    while True:
        page = partial(page_events, filter=past, limit=BACKFILL_PAGE, after=after)
        rows = await found.events.read(page)
        if not rows:
            return
        after = EventKey(rows[-1].occurred, rows[-1].id)
        yield [event_shape(r) for r in rows]


def _may_come_again(found: Streams) -> datetime:
    """What was received from then on may come from the store and live; the rest only once."""
    now, recent = datetime.now(UTC), found.hub.events.recent
    oldest: datetime = recent[0]["received"] if recent else now
    return oldest - OVERLAP


async def _send_new(
    websocket: WebSocket, events: Iterable[dict[str, Any]], sent: set[UUID], again: datetime
) -> None:
    for event in events:
        if event["id"] not in sent:
            if event["received"] >= again:
                sent.add(event["id"])
            await _send(websocket, "event", event)


async def _send_logs(websocket: WebSocket) -> None:
    filter, _ = await _receive_filter(websocket, _LOG_FILTER)
    with streams(websocket).hub.logs.subscription(log_test(filter)) as subscription:
        await _forward(websocket, subscription, "log", set())


async def _forward(
    websocket: WebSocket, subscription: Subscription[dict[str, Any]], kind: str, sent: set[UUID]
) -> None:
    """Send what comes in until the client goes; what was `sent` before is not sent again."""
    await until_one_ends(_until_gone(websocket), _send_all(websocket, subscription, kind, sent))


async def _send_all(
    websocket: WebSocket, subscription: Subscription[dict[str, Any]], kind: str, sent: set[UUID]
) -> None:
    while True:
        for item in await subscription.take():
            if item["id"] in sent:
                sent.discard(item["id"])
            else:
                await _send(websocket, kind, item)


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _send(websocket: WebSocket, kind: str, item: dict[str, Any]) -> None:
    message = orjson.dumps({"type": kind, kind: item}, option=orjson.OPT_UTC_Z)
    await websocket.send_text(message.decode())
