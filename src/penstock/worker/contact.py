"""Says when the server cannot be reached and when it can again, once each."""

import logging
import threading

from penstock.sdk.errors import PenstockError

_logger = logging.getLogger("penstock.worker")


class ServerContact:
    """What the worker's threads know of the server's health, together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trouble: str | None = None

    def failed(self, error: PenstockError) -> None:
        """A request failed and will be repeated."""
        kind = type(error).__name__
        with self._lock:
            new, self._trouble = self._trouble != kind, kind
        if new:
            _logger.warning("trouble with the server, trying again until it ends: %s", error)

    def succeeded(self) -> None:
        """A request succeeded."""
        with self._lock:
            old, self._trouble = self._trouble, None
        if old is not None:
            _logger.info("the server answers again")
