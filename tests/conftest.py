"""Fixtures every floor shares: a database of either kind, and a real server on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provision import PostgresServer, running_server

#: which databases the suite runs on: `PENSTOCK_TEST_DATABASES=sqlite make test` is the fast half
DATABASES = os.environ.get("PENSTOCK_TEST_DATABASES", "sqlite,postgres").split(",")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests of this process."""
    if "postgres" not in DATABASES:
        pytest.skip("PENSTOCK_TEST_DATABASES leaves PostgreSQL out")
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database; the test runs once on each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


def sqlite_url(folder: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{folder / 'penstock.db'}"


@pytest.fixture
def server_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The API's address of a real server on a fresh database; the test runs on each kind."""
    with running_server(database_url, tmp_path / "server-home") as url:
        yield url


@pytest.fixture
def sqlite_server_url(tmp_path: Path) -> Iterator[str]:
    """The API's address of a real server on a fresh SQLite file."""
    with running_server(sqlite_url(tmp_path), tmp_path / "server-home") as url:
        yield url
