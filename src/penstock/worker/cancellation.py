"""Hears of cancelled and suspended runs within moments, from the server's stream of events. What
it misses while disconnected, the renewals notice.
"""

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from penstock.sdk.client import Client

CANCELLING_EVENT = "prefect.flow-run.Cancelling"
SUSPENDED_EVENT = "prefect.flow-run.Suspended"
_RESOURCE_PREFIX = "prefect.flow-run."
_LONGEST_PAUSE_SECONDS = 30.0
_OPEN_TIMEOUT_SECONDS = 10.0

_logger = logging.getLogger("penstock.worker")


class CancellationListener:
    """Calls `on_cancel` with the id of each run whose cancellation is asked for, ours or not, and
    `on_suspend` with that of each run that is suspended.
    """

    def __init__(
        self,
        client: Client,
        on_cancel: Callable[[UUID], None],
        on_suspend: Callable[[UUID], None],
    ) -> None:
        self._url = "ws" + client.api_url.removeprefix("http") + "/events/out"
        self._token = client.settings.api_auth_string or client.settings.api_key
        self._heard = {CANCELLING_EVENT: on_cancel, SUSPENDED_EVENT: on_suspend}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Listen in a thread, reconnecting whenever the connection is lost."""
        threading.Thread(target=self._keep_listening, name="cancellation", daemon=True).start()

    def stop(self) -> None:
        """Connect no more."""
        self._stopping.set()

    def _keep_listening(self) -> None:
        pause, silent = 1.0, False
        while not self._stopping.is_set():
            try:
                with self._connect() as socket:
                    pause, silent = 1.0, False
                    self._hear(socket)
            except (OSError, WebSocketException) as error:
                if not silent:
                    refused = isinstance(error, InvalidStatus)
                    why = "the server does not offer them" if refused else error
                    _logger.info("cancellations take up to 10 s meanwhile, no live events: %s", why)
                silent = True
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _connect(self) -> ClientConnection:
        """An open and authenticated stream of cancellations."""
        socket = connect(
            self._url,
            subprotocols=[Subprotocol("prefect")],
            open_timeout=_OPEN_TIMEOUT_SECONDS,
            max_size=None,
            proxy=None if "://127.0.0.1" in self._url or "://localhost" in self._url else True,
        )
        try:
            socket.send(json.dumps({"type": "auth", "token": self._token}))
            socket.recv(timeout=_OPEN_TIMEOUT_SECONDS)
            wanted = _filter(datetime.now(UTC))
            socket.send(json.dumps({"type": "filter", "filter": wanted, "backfill": False}))
        except BaseException:
            socket.close()
            raise
        return socket

    def _hear(self, socket: ClientConnection) -> None:
        for frame in socket:
            message = json.loads(frame)
            flow_run_id = _flow_run(message)
            if flow_run_id is not None:
                hear = self._heard.get(message["event"].get("event"))
                if hear is not None:
                    hear(flow_run_id)


def _filter(now: datetime) -> dict[str, object]:
    # Without an end the filter would end now, for live events too.
    occurred = {
        "since": (now - timedelta(minutes=1)).isoformat(),
        "until": (now + timedelta(days=365)).isoformat(),
    }
    return {"event": {"name": [CANCELLING_EVENT, SUSPENDED_EVENT]}, "occurred": occurred}


def _flow_run(message: dict[str, object]) -> UUID | None:
    event = message.get("event")
    resource = event.get("resource") if isinstance(event, dict) else None
    name = str(resource.get("prefect.resource.id")) if isinstance(resource, dict) else ""
    if not name.startswith(_RESOURCE_PREFIX):
        return None
    try:
        return UUID(name.removeprefix(_RESOURCE_PREFIX))
    except ValueError:
        return None
