"""Task workers get the task runs of the background: each once, at once, and none is lost."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.api.test_websockets import AUTH, close_code, opened, received
from tests.provision import PostgresServer, running_server

PATH = "/task_runs/subscriptions/scheduled"
ACK, QUIT = '{"type":"ack"}', '{"type":"quit"}'
UNEXPECTED = 4001
WORKER = "host-1"


@contextmanager
def serving(url: str, *keys: str, client_id: str = WORKER) -> Iterator[ClientConnection]:
    """A task worker that is known to the server."""
    subscribe = {"type": "subscribe", "keys": list(keys), "client_id": client_id}
    with opened(url, PATH, AUTH, subscribe) as socket:
        assert received(socket) == {"type": "auth_success"}
        wait_until(lambda: client_id in workers(url))
        yield socket


def workers(url: str, *keys: str) -> list[str]:
    body = {"task_worker_filter": {"task_keys": list(keys)}} if keys else {}
    found = httpx.post(f"{url}/task_workers/filter", json=body).raise_for_status().json()
    return [worker["identifier"] for worker in found]


def wait_until(holds: Any) -> None:
    """Other processes tell when they are done only if they are asked."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)


def delay(url: str, key: str, n: int = 0, at: datetime | None = None, **details: Any) -> str:
    """A new task run for the background; its id."""
    if at is not None:
        details["scheduled_time"] = at.isoformat()
    state = {"type": "SCHEDULED", "state_details": {"deferred": True, **details}}
    body = {"task_key": key, "dynamic_key": str(n), "state": state}
    answer = httpx.post(f"{url}/task_runs/", json=body).raise_for_status()
    return str(answer.json()["id"])


def propose(url: str, id: str, **state: Any) -> Any:
    path = f"{url}/task_runs/{id}/set_state"
    return httpx.post(path, json={"state": state}).raise_for_status().json()


def test_a_task_worker_gets_one_task_run_after_another(server_url: str) -> None:
    first, second = delay(server_url, "a", 1), delay(server_url, "a", 2)
    with serving(server_url, "a", "b") as socket:
        got = received(socket)
        assert (got["id"], got["state"]["type"]) == (first, "SCHEDULED")
        assert got == httpx.get(f"{server_url}/task_runs/{first}").json() | {
            "estimated_start_time_delta": got["estimated_start_time_delta"]
        }
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        socket.send(ACK)
        assert received(socket)["id"] == second
        socket.send(ACK)
        delay(server_url, "other")
        begun = time.monotonic()
        third = delay(server_url, "b")
        assert received(socket)["id"] == third
        assert time.monotonic() - begun < 1  # woken at commit, long before it looks again
        socket.send(ACK)
        socket.send(QUIT)
        assert close_code(socket)[0] == 1000
    wait_until(lambda: workers(server_url) == [])


@pytest.mark.parametrize("leave", ["quit", "lost", "wrong answer"])
def test_what_was_not_acknowledged_goes_to_another_before_all_others(
    server_url: str, leave: str
) -> None:
    first, second = delay(server_url, "a", 1), delay(server_url, "a", 2)
    with serving(server_url, "a") as socket:
        assert received(socket)["id"] == first
        if leave == "quit":
            socket.send(QUIT)
            assert close_code(socket)[0] == 1000
        elif leave == "wrong answer":
            socket.send('{"type":"hello"}')
            assert close_code(socket)[0] == UNEXPECTED
    with serving(server_url, "a") as socket:
        assert received(socket)["id"] == first
        socket.send(ACK)
        assert received(socket)["id"] == second


def test_a_waiting_worker_gets_what_another_has_left(server_url: str) -> None:
    with serving(server_url, "a") as left, serving(server_url, "a", client_id="host-2") as waits:
        id = delay(server_url, "a")
        # the first in the line is asked first
        assert received(left)["id"] == id
        left.close()
        assert received(waits)["id"] == id


def test_what_is_cancelled_or_deleted_is_not_delivered(server_url: str) -> None:
    cancelled, deleted, kept = (delay(server_url, "a", n) for n in range(3))
    propose(server_url, cancelled, type="CANCELLED")
    httpx.delete(f"{server_url}/task_runs/{deleted}").raise_for_status()
    with serving(server_url, "a") as socket:
        assert received(socket)["id"] == kept


def test_a_task_run_comes_at_its_scheduled_time(sqlite_server_url: str) -> None:
    url = sqlite_server_url
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    with serving(url, "a") as socket:
        id = delay(url, "a", 1, at)
        delay(url, "a", 2, at + timedelta(hours=1))
        assert received(socket)["id"] == id
        assert datetime.now(UTC) >= at


def test_a_retry_comes_before_what_is_new(server_url: str) -> None:
    body = {
        "task_key": "a",
        "dynamic_key": "r",
        "empirical_policy": {"retries": 1},
        "state": {"type": "SCHEDULED", "state_details": {"deferred": True}},
    }
    retried = httpx.post(f"{server_url}/task_runs/", json=body).json()["id"]
    deferred = {"deferred": True}
    with serving(server_url, "a") as socket:
        assert received(socket)["id"] == retried
        socket.send(ACK)
        propose(server_url, retried, type="RUNNING", state_details=deferred)
        socket.send(QUIT)
        close_code(socket)
    new = delay(server_url, "a")
    answer = propose(server_url, retried, type="FAILED", state_details=deferred)
    assert answer["state"]["name"] == "AwaitingRetry"
    with serving(server_url, "a") as socket:
        assert [_next(socket), _next(socket)] == [retried, new]


def _next(socket: ClientConnection, timeout: float | None = 10) -> str:
    id: str = json.loads(socket.recv(timeout=timeout))["id"]
    socket.send(ACK)
    return id


def test_connected_task_workers_are_listed(server_url: str) -> None:
    with (
        serving(server_url, "b", "a", client_id="one"),
        serving(server_url, "b", client_id="two"),
        serving(server_url, "d", client_id="two"),
    ):
        assert workers(server_url) == ["one", "two"]
        assert workers(server_url, "a") == ["one"]
        assert workers(server_url, "a", "b") == ["one", "two"]
        assert workers(server_url, "c") == []
        wait_until(lambda: workers(server_url, "d") == ["two"])
        [worker, _] = httpx.post(f"{server_url}/task_workers/filter").json()
        assert worker["task_keys"] == ["b", "a"]
        assert worker["timestamp"].endswith("Z")
    wait_until(lambda: workers(server_url) == [])


SUBSCRIBE = {"type": "subscribe", "keys": ["a"], "client_id": "c"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (({"type": "hello"},), 1008),
        ((AUTH, {"type": "hello"}), UNEXPECTED),
        ((AUTH, "{"), UNEXPECTED),
        ((AUTH, SUBSCRIBE | {"keys": []}), UNEXPECTED),
        ((AUTH, {k: v for k, v in SUBSCRIBE.items() if k != "keys"}), UNEXPECTED),
        ((AUTH, {k: v for k, v in SUBSCRIBE.items() if k != "client_id"}), UNEXPECTED),
        ((AUTH, SUBSCRIBE | {"client_id": None}), UNEXPECTED),
        ((AUTH, SUBSCRIBE | {"keys": ["a\0b"]}), UNEXPECTED),
        ((AUTH, SUBSCRIBE, {"type": "ack"}), UNEXPECTED),
    ],
)
def test_what_a_task_worker_may_not_say_closes_with_a_reason(
    sqlite_server_url: str, messages: tuple[Any, ...], code: int
) -> None:
    with opened(sqlite_server_url, PATH, *messages) as socket:
        closed = close_code(socket)
    assert closed[0] == code
    assert closed[1]


@pytest.mark.timeout(60)
def test_what_waits_survives_the_server(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path / "home") as url:
        id = delay(url, "a")
    with running_server(database_url, tmp_path / "home") as url, serving(url, "a") as socket:
        assert received(socket)["id"] == id


RUNS = 60


@pytest.mark.timeout(60)
def test_each_task_run_goes_to_one_worker_of_two_servers(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = postgres_server.create_database()
    db = postgres_server.url(name)
    got: list[str] = []
    ready, done = threading.Barrier(5), threading.Event()

    def work(url: str, client_id: str) -> None:
        with serving(url, "a", client_id=client_id) as socket:
            ready.wait()
            with suppress(ConnectionClosed):  # the server ends first
                while True:
                    got.append(_next(socket, timeout=None))
                    if len(got) >= RUNS:
                        done.set()

    with (
        running_server(db, tmp_path / "one") as one,
        running_server(db, tmp_path / "two") as two,
    ):
        workers_of = enumerate((one, one, two, two))
        threads = [threading.Thread(target=work, args=(url, f"w{n}")) for n, url in workers_of]
        for thread in threads:
            thread.start()
        ready.wait(timeout=15)
        made = [delay(one, "a", n) for n in range(RUNS)]
        assert done.wait(timeout=10)
    for thread in threads:
        thread.join(5)
    assert sorted(got) == sorted(made)
    postgres_server.drop_database(name)


@pytest.mark.timeout(60)
def test_a_task_run_made_on_one_server_wakes_a_worker_of_another(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = postgres_server.create_database()
    db = postgres_server.url(name)
    with (
        running_server(db, tmp_path / "one") as one,
        running_server(db, tmp_path / "two") as two,
        serving(two, "a") as socket,
    ):
        assert workers(one) == [WORKER]
        begun = time.monotonic()
        id = delay(one, "a")
        assert received(socket)["id"] == id
        assert time.monotonic() - begun < 2
    postgres_server.drop_database(name)
