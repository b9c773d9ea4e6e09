"""Websockets that send what happens: `/events/out` and `/logs/out`.

Their first message authenticates, their second says what is wanted (rest-v3 §6.1, 6.3, 6.4).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from penstock.api.gate import Trust
from penstock.api.streams import streams
from penstock.contract.enums import EventOrder
from penstock.contract.rest.events import EventFilter, EventOccurredFilter
from penstock.contract.rest.logs import LogFilter
from penstock.core.event_rules import event_test, log_test
from penstock.operations.hub import Subscription
from penstock.operations.streams import Streams
from penstock.store.events import EventKey, event_shape, page_events

F = TypeVar("F")

SUBPROTOCOL = "prefect"
HANDSHAKE_SECONDS = 30.0
BACKFILL = timedelta(minutes=15)
BACKFILL_PAGE = 250
#: bytes of a close frame's reason
MAX_REASON = 123

POLICY_VIOLATION = 1008
PROTOCOL_ERROR = 1002


class _Wanted(BaseModel):
    """The message that says what to send."""

    model_config = ConfigDict(extra="ignore")

    type: str
    filter: Any = None
    backfill: bool = True


_WANTED = TypeAdapter(_Wanted)
_EVENT_FILTER = TypeAdapter(EventFilter)
_LOG_FILTER = TypeAdapter(LogFilter)


class _Refused(Exception):
    """The client said something it may not say."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON].decode(errors="ignore")


async def events_out(websocket: WebSocket) -> None:
    """Send the events that the client's filter wants: the past, if asked for, then live ones."""
    await _converse(websocket, _send_events)


async def logs_out(websocket: WebSocket) -> None:
    """Send the log lines that the client's filter wants, as they come in."""
    await _converse(websocket, _send_logs)


async def _converse(websocket: WebSocket, send: Callable[[WebSocket], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if not await _admit(websocket):
                return
        await send(websocket)
    except TimeoutError:
        await websocket.close(POLICY_VIOLATION, "The handshake took too long")
    except _Refused as e:
        await websocket.close(e.code, e.reason)
    except WebSocketDisconnect:
        pass


async def _admit(websocket: WebSocket) -> bool:
    """Accept and authenticate; False when the upgrade itself was refused."""
    trust: Trust = websocket.app.state.trust
    if SUBPROTOCOL not in websocket.scope["subprotocols"]:
        if trust.required:
            await websocket.close(POLICY_VIOLATION)  # before accepting: HTTP 403
            return False
        await websocket.accept()
        return True
    await websocket.accept(subprotocol=SUBPROTOCOL)
    message = await _receive(websocket, POLICY_VIOLATION)
    if message.get("type") != "auth":
        raise _Refused(POLICY_VIOLATION, "The first message must be of type auth")
    token = message.get("token")
    if not await trust.admits_token(token if isinstance(token, str) else None):
        raise _Refused(POLICY_VIOLATION, "Unauthorized: the token is missing or wrong")
    await websocket.send_text('{"type":"auth_success"}')
    return True


async def _receive(websocket: WebSocket, code: int) -> dict[str, Any]:
    message = await websocket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        content = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except orjson.JSONDecodeError:
        raise _Refused(code, "The message is not JSON") from None
    if not isinstance(content, dict):
        raise _Refused(code, "The message is not an object")
    return content


async def _receive_filter(websocket: WebSocket, adapter: TypeAdapter[F]) -> tuple[F, bool]:
    message = await _receive(websocket, PROTOCOL_ERROR)
    if message.get("type") != "filter":
        raise _Refused(PROTOCOL_ERROR, "Expected a message of type filter")
    try:
        wanted = _WANTED.validate_python(message)
        filter = {} if wanted.filter is None else wanted.filter
        # JSON once more, since in it a time may be text
        return adapter.validate_json(orjson.dumps(filter)), wanted.backfill
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _Refused(PROTOCOL_ERROR, f"Invalid filter: {place}: {first['msg']}") from None


async def _send_events(websocket: WebSocket) -> None:
    filter, backfill = await _receive_filter(websocket, _EVENT_FILTER)
    found, wants = streams(websocket), event_test(filter)
    sent: set[UUID] = set()
    with found.hub.events.subscription(wants) as subscription:
        if backfill:
            async for page in _past(found, filter):
                await _send_new(websocket, page, sent)
            oldest = datetime.now(UTC) - BACKFILL
            recent = [e for e in found.hub.events.recent if e["occurred"] >= oldest and wants(e)]
            await _send_new(websocket, recent, sent)
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


async def _send_new(
    websocket: WebSocket, events: Iterable[dict[str, Any]], sent: set[UUID]
) -> None:
    for event in events:
        if event["id"] not in sent:
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
    gone = asyncio.create_task(_until_gone(websocket))
    sending = asyncio.create_task(_send_all(websocket, subscription, kind, sent))
    try:
        await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (gone, sending):
            task.cancel()
        with suppress(WebSocketDisconnect, asyncio.CancelledError):
            await asyncio.gather(gone, sending)


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


#: every websocket under the API's root
SOCKETS = [("/events/out", events_out), ("/logs/out", logs_out)]
