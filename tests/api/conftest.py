"""The whole server in this process, without its loops, and a client of its API."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings
from tests.api.calls import Api


@pytest.fixture
async def server(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A running server on a fresh database; the test runs on each kind."""
    settings = Settings(
        database_url=database_url, services=False, secret_key_file=tmp_path / "secret.key"
    )
    server = Server(settings)
    async with server.running():
        yield server


@pytest.fixture
async def api(anyio_backend: str, server: Server) -> AsyncIterator[Api]:
    """A client of its API: `await api.post("/flows/", {"name": "a"})` gives the answer's JSON."""
    transport = httpx.ASGITransport(server.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api") as client:
        yield Api(client)
