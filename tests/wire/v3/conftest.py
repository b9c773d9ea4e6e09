"""Our server, and the unmodified client beside it.

`PENSTOCK_WIRE_SERVER=peer` runs the suite against the client's own server instead: what fails
there as well is the suite's mistake.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import DATABASES, sqlite_url
from tests.provision import PostgresServer, running_server
from tests.wire.v3.client import PrefectClient, Rest, until
from tests.wire.v3.client_venv import client_python

PEER = os.environ.get("PENSTOCK_WIRE_SERVER") == "peer"


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of the client's own environment, which is made when it is missing."""
    return client_python()


@pytest.fixture(scope="module", params=["sqlite"] if PEER else DATABASES)
def wire_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a fresh database for the tests of a module, which run once on each kind."""
    if request.param not in DATABASES:
        pytest.skip(f"PENSTOCK_TEST_DATABASES leaves {request.param} out")
    if request.param == "sqlite":
        yield sqlite_url(tmp_path_factory.mktemp("database"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def api_url(
    wire_database: str, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The API's address of the server that the tests of a module share."""
    home = tmp_path_factory.mktemp("server")
    with peer_server(python, home) if PEER else running_server(wire_database, home) as url:
        yield url


@pytest.fixture
def rest(api_url: str) -> Iterator[Rest]:
    """The server's own word."""
    rest = Rest(api_url)
    yield rest
    rest.close()


@pytest.fixture
def client(python: Path, api_url: str, tmp_path: Path) -> PrefectClient:
    """The client with a home of its own."""
    return PrefectClient(python, api_url, tmp_path / "home")


@contextmanager
def peer_server(python: Path, home: Path) -> Iterator[str]:
    """The client's own server on a fresh SQLite file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), "-m", "prefect", *command],
            env=PrefectClient(python, url, home).environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _answers(f"{url}/ready"), timeout_seconds=60)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
