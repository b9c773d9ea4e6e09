"""The websockets as the contract's clients use them: handshake, filter, back-fill, live."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.conftest import sqlite_url
from tests.provision import running_server

AUTH = {"type": "auth", "token": None}


@contextmanager
def opened(url: str, path: str, *messages: Any, prefect: bool = True) -> Iterator[ClientConnection]:
    """A websocket that has sent these messages."""
    protocols = [Subprotocol("prefect")] if prefect else None
    address = url.replace("http", "ws", 1) + path
    with connect(address, subprotocols=protocols, open_timeout=10) as socket:
        for message in messages:
            socket.send(message if isinstance(message, str) else json.dumps(message))
        yield socket


def received(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10))


def read_on(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=10)


def close_code(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        read_on(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def event(name: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    resource = {"prefect.resource.id": "thing"}
    return {"id": str(uuid4()), "occurred": now, "event": name, "resource": resource}


def test_events_of_the_past_come_first_and_none_comes_twice(server_url: str) -> None:
    with httpx.Client(base_url=server_url) as api:
        old = [event("a"), event("b"), event("a")]
        api.post("/events", json=old).raise_for_status()
        wanted = {"type": "filter", "filter": {"event": {"name": ["a"]}}}
        with opened(server_url, "/events/out", AUTH, wanted) as socket:
            assert socket.subprotocol == "prefect"
            assert received(socket) == {"type": "auth_success"}
            past = [received(socket)["event"] for _ in range(2)]
            assert [e["id"] for e in past] == [old[0]["id"], old[2]["id"]]
            new = [event("b"), event("a")]
            api.post("/events", json=new).raise_for_status()
            live = received(socket)
            assert (live["type"], live["event"]["id"]) == ("event", new[1]["id"])
            assert set(live["event"]) == set(past[0])
            assert live["event"]["received"].endswith("Z")


def test_a_new_state_reaches_who_listens(server_url: str) -> None:
    wanted = {"event": {"name": ["prefect.flow-run.Cancelling"]}}
    message = {"type": "filter", "filter": wanted, "backfill": False}
    with httpx.Client(base_url=server_url) as api:
        flow = api.post("/flows/", json={"name": "f"}).json()["id"]
        body = {"flow_id": flow, "state": {"type": "RUNNING"}}
        run = api.post("/flow_runs/", json=body).json()["id"]
        with opened(server_url, "/events/out", AUTH, message) as socket:
            received(socket)
            path = f"/flow_runs/{run}/set_state"
            api.post(path, json={"state": {"type": "CANCELLING"}}).raise_for_status()
            told = received(socket)["event"]
    assert told["resource"]["prefect.resource.id"] == f"prefect.flow-run.{run}"


def test_log_lines_are_sent_as_they_come(sqlite_server_url: str) -> None:
    run = str(uuid4())
    at = datetime.now(UTC).isoformat()
    lines = [
        {"name": "n", "level": 20, "message": m, "timestamp": at, "flow_run_id": r}
        for m, r in (("other", None), ("mine", run))
    ]
    wanted = {"type": "filter", "filter": {"flow_run_id": {"any_": [run]}}}
    with opened(sqlite_server_url, "/logs/out", AUTH, wanted) as socket:
        assert received(socket) == {"type": "auth_success"}
        for _ in range(20):  # the filter may take effect after our first lines
            httpx.post(f"{sqlite_server_url}/logs/", json=lines).raise_for_status()
            try:
                told = json.loads(socket.recv(timeout=0.5))
                break
            except TimeoutError:
                continue
    assert (told["type"], told["log"]["message"]) == ("log", "mine")


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (({"type": "hello"},), 1008, "auth"),
        (("{",), 1008, "JSON"),
        ((AUTH, {"type": "hello"}), 1002, "filter"),
        ((AUTH, {"type": "filter", "filter": {"colour": "red" * 99}}), 1002, "colour"),
        ((AUTH, "[]"), 1002, "object"),
    ],
)
def test_what_a_client_may_not_say_closes_with_a_reason(
    sqlite_server_url: str, messages: tuple[Any, ...], code: int, reason: str
) -> None:
    for path in ("/events/out", "/logs/out"):
        with opened(sqlite_server_url, path, *messages) as socket:
            closed = close_code(socket)
        assert closed[0] == code
        assert reason in closed[1]


def test_without_the_subprotocol_there_is_no_handshake(sqlite_server_url: str) -> None:
    httpx.post(f"{sqlite_server_url}/events", json=[event("a")]).raise_for_status()
    wanted = {"type": "filter", "filter": {}}
    with opened(sqlite_server_url, "/events/out", wanted, prefect=False) as socket:
        assert received(socket)["event"]["event"] == "a"


def test_with_authentication_the_token_decides(tmp_path: Path) -> None:
    options = ("--auth-string", "user:secret")
    with running_server(sqlite_url(tmp_path), tmp_path / "home", *options) as url:
        good = {"type": "auth", "token": "user:secret"}
        with opened(url, "/events/out", good) as socket:
            assert received(socket) == {"type": "auth_success"}
        for token in (None, "user:wrong", ""):
            with opened(url, "/events/out", {"type": "auth", "token": token}) as socket:
                assert close_code(socket)[0] == 1008
        with pytest.raises(InvalidStatus) as refused, opened(url, "/events/out", prefect=False):
            pass
        assert refused.value.response.status_code == 403
