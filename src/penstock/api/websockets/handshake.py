"""How every websocket begins, and how it ends when a client says what it may not (rest-v3 §6.1)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from penstock.api.gate import Trust
from penstock.core.errors import OutcomeUnknown, Unavailable

logger = logging.getLogger(__name__)

SUBPROTOCOL = "prefect"
HANDSHAKE_SECONDS = 30.0
#: bytes of a close frame's reason
MAX_REASON = 123

POLICY_VIOLATION = 1008
PROTOCOL_ERROR = 1002
INTERNAL_ERROR = 1011


class Refused(Exception):
    """The client said something it may not say."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON].decode(errors="ignore")


async def converse(
    websocket: WebSocket,
    talk: Callable[[WebSocket], Awaitable[None]],
    *,
    unauthorized: str | None = None,
    unavailable: str = "The server cannot do this now; try again",
) -> None:
    """Let the client in, then `talk` with it; a Refused there closes with its code and reason.

    `unauthorized` is the reason for whoever is not let in (else it says in words what is wrong),
    `unavailable` the one that a database which is away closes with.
    """
    with suppress(WebSocketDisconnect):
        try:
            if await _is_let_in(websocket, unauthorized):
                await talk(websocket)
        except Refused as e:
            await websocket.close(e.code, e.reason)
        except (Unavailable, OutcomeUnknown) as e:
            # the reason in the log; to the client, that another try makes sense
            logger.warning("A websocket is closed: %s", e)
            await websocket.close(INTERNAL_ERROR, unavailable)


async def _is_let_in(websocket: WebSocket, unauthorized: str | None) -> bool:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            return await _admit(websocket)
    except TimeoutError:
        why = "The handshake took too long"
        raise Refused(POLICY_VIOLATION, unauthorized or why) from None
    except Refused as e:
        raise Refused(e.code, unauthorized or e.reason) from None


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
    message = await receive(websocket, POLICY_VIOLATION)
    if message.get("type") != "auth":
        raise Refused(POLICY_VIOLATION, "The first message must be of type auth")
    token = message.get("token")
    if not await trust.admits_token(token if isinstance(token, str) else None):
        raise Refused(POLICY_VIOLATION, "Unauthorized: the token is missing or wrong")
    await websocket.send_text('{"type":"auth_success"}')
    return True


def messages_of_handshake(websocket: WebSocket) -> int:
    """How many messages a client that was let in has sent until then."""
    return 1 if SUBPROTOCOL in websocket.scope["subprotocols"] else 0


async def receive(websocket: WebSocket, code: int) -> dict[str, Any]:
    """The next message, an object. Refused with that code when it is not one."""
    try:
        content = orjson.loads(await receive_content(websocket))
    except orjson.JSONDecodeError:
        raise Refused(code, "The message is not JSON") from None
    if not isinstance(content, dict):
        raise Refused(code, "The message is not an object")
    return content


async def receive_content(websocket: WebSocket) -> str | bytes:
    """What the next message holds. WebSocketDisconnect when the client has left."""
    message = await websocket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", 1000))
    content: str | bytes = message.get("text") or message.get("bytes") or b""
    return content


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do them side by side until one ends; its error is raised, the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
