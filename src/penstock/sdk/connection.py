"""The client that the runs of this process share."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from penstock.sdk.settings import read_settings

if TYPE_CHECKING:
    from penstock.sdk.client import Client

_clients: dict[tuple[str, str | None, str | None], Client] = {}
_lock = threading.Lock()


def shared_client() -> Client:
    """A client for the configured server; the local server is joined or started when none is.

    The local server leaves when it is idle, so its address is looked up at every call.
    """
    from penstock.sdk.client import Client
    from penstock.sdk.embedded import local_server_url

    settings = read_settings()
    with _lock:
        url = settings.api_url or local_server_url(settings)
        key = (url, settings.api_key, settings.api_auth_string)
        client = _clients.get(key)
        if client is None:
            client = _clients[key] = Client(url, settings=settings)
        return client


def _close() -> None:
    for client in _clients.values():
        client.close()
    _clients.clear()


def _after_fork() -> None:
    """Another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()


atexit.register(_close)
os.register_at_fork(after_in_child=_after_fork)
