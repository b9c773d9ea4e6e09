"""`/events/in`: clients send what happens, one event a message (rest-v3 §6.2).

compat: prefect 3.8.8 asks whether its events are safe by a ping, so the pong waits for the commit.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket

from penstock.api.gate import BODY_LIMIT
from penstock.api.streams import streams
from penstock.api.websockets.handshake import converse, messages_of_handshake
from penstock.contract.rest.events import Event
from penstock.core.errors import InvalidInput, OutcomeUnknown, Unavailable
from penstock.operations.streams import NewEvent, Streams, new_event

logger = logging.getLogger(__name__)

#: what one connection may have waiting here; above it, its client is not listened to
MAX_WAITING = 1_000
MAX_WAITING_CHARACTERS = 8 * 2**20
#: seconds between two commits while events keep coming and nobody waits for a pong
PACE_SECONDS = 0.05
#: seconds until events that could not be stored are tried again
RETRY_SECONDS = 1.0
#: seconds that events of a client that has left are tried again: it may not send them again
PATIENCE_SECONDS = 60.0

_EVENT = TypeAdapter(Event)


class Pongs(Protocol):
    """The connection's pongs, as the server below offers them."""

    def hold(self, on_waiting: Callable[[], None]) -> None:
        """Let pongs wait from now on; `on_waiting` is called when one does."""

    def confirm(self, messages: int) -> None:
        """So many messages of the connection are safe."""


class _NoPongs:
    """For servers that answer pings by themselves."""

    def hold(self, on_waiting: Callable[[], None]) -> None:
        pass

    def confirm(self, messages: int) -> None:
        pass


async def events_in(websocket: WebSocket) -> None:
    """Take in the client's events; a pong says that all that came before its ping is committed."""
    pongs: Pongs = websocket.scope.get("extensions", {}).get("penstock.pongs") or _NoPongs()
    intake = _Intake(pongs)
    pongs.hold(intake.hurry)
    await converse(websocket, intake.run)


class _Intake:
    """Reads while it stores: what has come in meanwhile is stored together."""

    def __init__(self, pongs: Pongs) -> None:
        self._pongs = pongs
        self._received = 0
        self._waiting: list[str | bytes] = []
        self._size = 0
        self._ended_at: float | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Somebody waits for what is here to be stored."""
        self._hurried.set()

    async def run(self, websocket: WebSocket) -> None:
        """Take events in until the client leaves; returns when all are stored."""
        self._received = messages_of_handshake(websocket)
        self._pongs.confirm(self._received)
        reading = asyncio.create_task(self._read(websocket))
        try:
            await self._store_all(streams(websocket))
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _read(self, websocket: WebSocket) -> None:
        try:
            while (message := await websocket.receive())["type"] != "websocket.disconnect":
                content = message.get("text") or message.get("bytes") or ""
                self._received += 1
                self._waiting.append(content)
                self._size += len(content)
                self._arrived.set()
                while len(self._waiting) >= MAX_WAITING or self._size >= MAX_WAITING_CHARACTERS:
                    self.hurry()
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            self._ended_at = asyncio.get_running_loop().time()
            self._arrived.set()
            self.hurry()

    async def _store_all(self, to: Streams) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting or self._ended_at is None:
            await self._arrived.wait()
            self._arrived.clear()
            self._hurried.clear()
            contents, self._waiting, self._size = self._waiting, [], 0
            received, started = self._received, clock()
            self._taken.set()
            if not await self._store(to, contents):
                return
            self._pongs.confirm(received)
            if self._ended_at is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PACE_SECONDS - (clock() - started)):
                        await self._hurried.wait()

    async def _store(self, to: Streams, contents: list[str | bytes]) -> bool:
        """Store what can be stored; False when the database was away for too long."""
        now = datetime.now(UTC)
        events = [event for content in contents if (event := _read_event(content, now))]
        groups = [events] if events else []
        while groups:
            group = groups.pop()
            try:
                await to.take_in(group, now)
            except (Unavailable, OutcomeUnknown) as e:
                logger.warning("%d events cannot be stored now: %s", len(group), e)
                if not self._is_patient():
                    return False
                await asyncio.sleep(RETRY_SECONDS)
                groups.append(group)
            except Exception:  # one that cannot be stored must not cost those beside it
                if len(group) == 1:
                    logger.exception("The event %s cannot be stored", group[0].shape["id"])
                groups += [[event] for event in group if len(group) > 1]
        return True

    def _is_patient(self) -> bool:
        if self._ended_at is None:
            return True
        return asyncio.get_running_loop().time() - self._ended_at < PATIENCE_SECONDS


def _read_event(content: str | bytes, now: datetime) -> NewEvent | None:
    """The event in a message; None, and a line in the log, when there is none."""
    if len(content) > BODY_LIMIT:
        logger.debug("An event of %d characters is ignored: that is too long", len(content))
        return None
    try:
        return new_event(_EVENT.validate_json(content), now)
    except (ValidationError, InvalidInput) as e:
        logger.debug("A message that is no event is ignored: %s", e)
        return None
