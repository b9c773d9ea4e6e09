"""Learning at once that something happened to a flow run.

The websockets only say *when* to look; what is shown is read over REST. So a lost message costs
time, never a line.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

#: How long to wait without a signal, with the websockets open and without them.
LISTENING_SECONDS = 5.0
POLLING_SECONDS = 1.0
#: Signals come in bursts: look at most this often.
_PAUSE_SECONDS = 0.1
_RECONNECT_SECONDS = 3.0
_HANDSHAKE_SECONDS = 5.0
#: Live events outside their time range are not sent, and the range ends now by default.
_FAR_FUTURE = "9999-01-01T00:00:00Z"


class LiveSignal:
    """Wakes a watcher when a flow run changes state or logs; a context manager."""

    def __init__(self, api_url: str, token: str | None, flow_run_id: UUID) -> None:
        root = "ws" + api_url.removeprefix("http")
        events = {
            "resource": {"id": [f"prefect.flow-run.{flow_run_id}"]},
            "occurred": {"until": _FAR_FUTURE},
        }
        logs = {"flow_run_id": {"any_": [str(flow_run_id)]}}
        self._token = token
        self._sources: list[tuple[str, dict[str, Any]]] = [
            (f"{root}/events/out", {"type": "filter", "filter": events, "backfill": False}),
            (f"{root}/logs/out", {"type": "filter", "filter": logs}),
        ]
        self._something_new = threading.Event()
        self._left = threading.Event()
        self._open: set[ClientConnection] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for url, message in self._sources:
            thread = threading.Thread(target=self._listen, args=(url, message), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        for socket in list(self._open):
            with suppress(WebSocketException, OSError):
                socket.close()
        for thread in self._threads:
            thread.join(timeout=1.0)

    def wait(self, longest_seconds: float = LISTENING_SECONDS) -> None:
        """Return when there is something to look at, or when it is time to look anyway."""
        listening = len(self._open) == len(self._sources)
        seconds = LISTENING_SECONDS if listening else POLLING_SECONDS
        self._something_new.wait(min(seconds, longest_seconds))
        self._left.wait(_PAUSE_SECONDS)
        self._something_new.clear()

    def _listen(self, url: str, message: dict[str, Any]) -> None:
        while not self._left.is_set():
            try:
                self._receive(url, message)
            except (WebSocketException, OSError, ValueError):
                # Away, restarting, or without these sockets: polling serves meanwhile.
                self._left.wait(_RECONNECT_SECONDS)

    def _receive(self, url: str, message: dict[str, Any]) -> None:
        with connect(
            url,
            subprotocols=[Subprotocol("prefect")],
            open_timeout=_HANDSHAKE_SECONDS,
            close_timeout=0.5,
        ) as socket:
            socket.send(json.dumps({"type": "auth", "token": self._token}))
            answer = json.loads(socket.recv(timeout=_HANDSHAKE_SECONDS))
            if answer.get("type") != "auth_success":
                raise ValueError(answer)
            socket.send(json.dumps(message))
            self._open.add(socket)
            try:
                # What happened before the socket was open brought no signal.
                self._something_new.set()
                while not self._left.is_set():
                    socket.recv()
                    self._something_new.set()
            finally:
                self._open.discard(socket)
