"""A server for the tests of the SDK: one for all of them, every test makes its own flows."""

import os
from collections.abc import Iterator

import pytest

from penstock.sdk.client import Client
from penstock.sdk.flow_engine import _flow_ids
from tests.provision import running_server


@pytest.fixture(scope="session")
def shared_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a running server; PENSTOCK_TEST_API_URL names one that runs already."""
    url = os.environ.get("PENSTOCK_TEST_API_URL")
    if url:
        yield url
        return
    folder = tmp_path_factory.mktemp("server")
    with running_server(f"sqlite:///{folder / 'penstock.db'}", folder / "home") as url:
        yield url


@pytest.fixture
def api_url(shared_server_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The API's address, also set in the environment."""
    monkeypatch.setenv("PENSTOCK_API_URL", shared_server_url)
    return shared_server_url


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    """A client of the server."""
    with Client(api_url) as client:
        yield client


@pytest.fixture(autouse=True)
def _forget_flow_ids() -> None:
    _flow_ids.clear()
