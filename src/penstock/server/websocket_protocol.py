"""uvicorn's websocket protocol, with pongs that can wait until the application is done.

compat: prefect 3.8.8 takes the pong on `/events/in` for the word that everything it sent before
its ping is safe; uvicorn by itself answers a ping before the application has read what came first.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

#: where an application finds the connection's `hold` and `confirm` in its scope
EXTENSION = "penstock.pongs"


class _Frames(ServerProtocol):
    """Leaves pings to be answered by the connection, which knows when."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # At the level `debug` it would write every frame and header into the log: tokens, too.
        self.debug = False
        #: payloads of pings that nobody has looked at yet
        self.pings: deque[bytes] = deque()

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self.pings.append(bytes(frame.data))
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class ConfirmingWebSocket(WebSocketsSansIOProtocol):
    """A websocket whose application may say when what it received is safe.

    After `hold`, a ping is answered once the application has confirmed all messages that came
    before it, and so is the client's closing. Other applications see no difference. It offers no
    compression: that costs more of the processor than the messages are worth.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.frames_in = _Frames(max_size=config.ws_max_size, logger=self.logger)
        self.conn: ServerProtocol = self.frames_in
        self._on_waiting: Callable[[], None] | None = None
        self._received = 0
        self._confirmed = 0
        #: pings that wait: how many messages came before, and what the pong must say
        self._held: deque[tuple[int, bytes]] = deque()
        self._closing = False
        #: the pong for a client that sends pings and does not read
        self._unsent: bytes | None = None

    # ------------------------------------------------------------------ for the application

    def hold(self, on_waiting: Callable[[], None]) -> None:
        """Let pongs wait for `confirm` from now on; `on_waiting` is called when one does."""
        self._on_waiting = on_waiting

    def confirm(self, messages: int) -> None:
        """So many messages, counted from the first of the connection, are safe."""
        self._confirmed = messages
        if self.transport.is_closing():
            return
        if self._closing:
            if self._confirmed >= self._received:
                self._finish_closing()
            return
        while self._held and self._held[0][0] <= messages:
            self._send_pong(self._held.popleft()[1])

    # ------------------------------------------------------------------ for uvicorn

    def handle_connect(self, event: Request) -> None:
        """Let the application find this connection."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """Count the message."""
        super().send_receive_event_to_app()
        self._received += 1

    def handle_ping(self) -> None:
        """Answer at once, or hold the ping until what came before it is confirmed."""
        payload = self.frames_in.pings.popleft()
        if not self.handshake_complete:
            return  # nobody may ask before being let in
        if self._on_waiting is None or self._received <= self._confirmed:
            self._send_pong(payload)
            return
        if self._held and self._held[-1][0] == self._received:
            # One answer serves pings that follow each other directly (RFC 6455, 5.5.3), and a
            # client that sends nothing else must not fill our memory with them.
            self._held.pop()
        self._held.append((self._received, payload))
        self._tell_waiting()

    def handle_close(self, event: Frame) -> None:
        """Close at once, or once what came before is confirmed."""
        if self.close_sent or self._on_waiting is None or self._received <= self._confirmed:
            super().handle_close(event)
            return
        self._closing = True
        self.stop_keepalive()
        assert self.conn.close_rcvd is not None
        code, reason = self.conn.close_rcvd.code, self.conn.close_rcvd.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._tell_waiting()

    def resume_writing(self) -> None:
        """Send what had to wait for the client to read."""
        super().resume_writing()
        payload, self._unsent = self._unsent, None
        if payload is not None and not self.transport.is_closing():
            self._send_pong(payload)

    def shutdown(self) -> None:
        """Leave; a connection that closes once all is confirmed does so by itself."""
        if not self._closing:
            super().shutdown()

    def keepalive_timeout(self) -> None:
        """Give up on a silent client, unless it is we who do not listen now."""
        if self.read_paused and self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    # ------------------------------------------------------------------ inside

    def _tell_waiting(self) -> None:
        if self._on_waiting is not None:
            self._on_waiting()

    def _send_pong(self, payload: bytes) -> None:
        if not self.writable.is_set():
            self._unsent = payload  # one answer serves all
            return
        self.conn.send_pong(payload)
        self.transport.write(b"".join(self.conn.data_to_send()))

    def _finish_closing(self) -> None:
        # The answer to the client's closing was made when that came.
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
