"""What a client sends to one of two servers comes out of the other's websockets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import ClientConnection

from tests.api.test_events_in import emitting, sent_safely, task_events
from tests.api.test_websockets import AUTH, event, opened, received
from tests.provision import PostgresServer, running_server

Json = dict[str, Any]


@pytest.fixture(scope="module")
def two_servers(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The APIs' addresses of two servers on one database."""
    name = postgres_server.create_database()
    home: Path = tmp_path_factory.mktemp("homes")
    url = postgres_server.url(name)
    with running_server(url, home / "a") as a, running_server(url, home / "b") as b:
        yield a, b
    postgres_server.drop_database(name)


@contextmanager
def listening(url: str, filter: Json, first: Json) -> Iterator[ClientConnection]:
    """A websocket for events that has got `first`, which is stored, from the past."""
    with opened(url, "/events/out", AUTH, {"type": "filter", "filter": filter}) as socket:
        assert received(socket) == {"type": "auth_success"}
        assert received(socket)["event"]["id"] == first["id"]
        yield socket


def post(url: str, path: str, body: Any) -> None:
    httpx.post(url + path, json=body).raise_for_status()


def test_events_posted_to_one_server_are_heard_at_the_other(two_servers: tuple[str, str]) -> None:
    a, b = two_servers
    names = [f"{kind}.{uuid4()}" for kind in ("wanted", "other", "end")]
    wanted, other, end = names
    old = event(wanted)
    post(a, "/events", [old])
    with listening(b, {"event": {"name": [wanted, end]}}, old) as there:
        new = [event(n) for n in (wanted, other, wanted)]
        post(a, "/events", new)
        post(a, "/events", new[:1])  # again: without effect
        told = [received(there)["event"] for _ in range(2)]
        post(b, "/events", new[2:])  # also at the other server
        more = [event(wanted), event(end)]
        post(a, "/events", more)
        told += [received(there)["event"] for _ in range(2)]
        sent = [new[0], new[2], *more]
        assert [e["id"] for e in told] == [e["id"] for e in sent]
        assert [e["resource"] for e in told] == [e["resource"] for e in sent]
        assert all(e["received"].endswith("Z") for e in told)


def test_a_task_that_ends_at_one_server_is_heard_at_the_other(two_servers: tuple[str, str]) -> None:
    a, b = two_servers
    events = task_events(str(uuid4()), "t")
    for one in events:
        one["occurred"] = datetime.now(UTC).isoformat()
    subject = events[0]["resource"]["prefect.resource.id"]
    with emitting(a) as out:
        sent_safely(out, events[:1])
        with listening(b, {"resource": {"id": [subject]}}, events[0]) as there:
            sent_safely(out, events[1:])
            assert [received(there)["event"]["id"] for _ in range(2)] == [
                e["id"] for e in events[1:]
            ]


def test_lines_posted_to_one_server_are_heard_at_the_other(two_servers: tuple[str, str]) -> None:
    a, b = two_servers
    run, other = str(uuid4()), str(uuid4())

    def line(message: str, run: str) -> Json:
        at = datetime.now(UTC).isoformat()
        found = {"name": "n", "level": 20, "message": message, "timestamp": at}
        return found | {"flow_run_id": run}

    wanted = {"type": "filter", "filter": {"flow_run_id": {"any_": [run]}}}
    with opened(b, "/logs/out", AUTH, wanted) as there:
        assert received(there) == {"type": "auth_success"}
        heard: list[str] = []
        number = 0
        while not heard:  # the filter may take effect after the first lines
            number += 1
            post(a, "/logs/", [line("first", run)])
            try:
                heard.append(_message(there, 0.5))
            except TimeoutError:
                assert number < 20
        for messages in ("abc", "de"):
            post(a, "/logs/", [line("not this", other), *(line(m, run) for m in messages)])
        while len(heard) < number + 5 and heard[-1] != "e":
            heard.append(_message(there, 10))
        assert "".join(m for m in heard if m != "first") == "abcde"


def _message(socket: ClientConnection, timeout: float) -> str:
    message: str = json.loads(socket.recv(timeout=timeout))["log"]["message"]
    return message
