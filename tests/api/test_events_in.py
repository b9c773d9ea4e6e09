"""`/events/in` as the contract's clients use it: the pong is their acknowledgement."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from websockets.sync.client import ClientConnection

from tests.api.test_websockets import AUTH, event, opened, received
from tests.provision import ServerProcess, running_server

BEGINNING = datetime(2026, 11, 1, 12, tzinfo=UTC)
Json = dict[str, Any]


def task_events(flow_run_id: str, key: str, count: int = 3) -> list[Json]:
    """What the contract's client sends of one task run: Pending, Running, Completed."""
    task_run_id, at = str(uuid4()), BEGINNING
    events = []
    for n, (type, name) in enumerate(
        [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")][:count]
    ):
        resource = {
            "prefect.resource.id": f"prefect.task-run.{task_run_id}",
            "prefect.orchestration": "client",
        }
        flow_run = {
            "prefect.resource.id": f"prefect.flow-run.{flow_run_id}",
            "prefect.resource.role": "flow-run",
        }
        payload = {
            "validated_state": {"type": type, "name": name, "state_details": {}},
            "task_run": {"name": key, "task_key": key, "dynamic_key": "0", "run_count": n},
        }
        events.append(
            {
                "id": str(uuid4()),
                "occurred": (at + timedelta(seconds=n)).isoformat(),
                "event": f"prefect.task-run.{name}",
                "resource": resource,
                "related": [flow_run],
                "payload": payload,
            }
        )
    return events


@contextmanager
def emitting(url: str) -> Iterator[ClientConnection]:
    """A websocket as the client opens it: it pings first, then it authenticates."""
    with opened(url, "/events/in") as socket:
        assert socket.ping().wait(10)
        socket.send(json.dumps(AUTH))
        assert received(socket) == {"type": "auth_success"}
        yield socket


def send(socket: ClientConnection, events: list[Json]) -> None:
    for one in events:
        socket.send(json.dumps(one))


def sent_safely(socket: ClientConnection, events: list[Json]) -> None:
    send(socket, events)
    assert socket.ping().wait(15)


def stored_ids(api: httpx.Client, name: str) -> list[str]:
    """The ids of the stored events of that name, oldest first."""
    body: Json = {"filter": {"event": {"name": [name]}, "order": "ASC"}}
    body["filter"]["occurred"] = {"since": "2026-01-01T00:00:00Z"}
    page = api.post("/events/filter", json=body).raise_for_status().json()
    ids = [e["id"] for e in page["events"]]
    while page["next_page"]:
        page = api.get(page["next_page"]).raise_for_status().json()
        ids += [e["id"] for e in page["events"]]
    return ids


def task_runs(api: httpx.Client, flow_run_id: str) -> list[Json]:
    body = {"task_runs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "NAME_ASC"}
    found: list[Json] = []
    while page := api.post("/task_runs/filter", json=body | {"offset": len(found)}).json():
        found += page
    return found


def states(api: httpx.Client, task_run_id: str) -> list[str]:
    path = f"/task_run_states/?task_run_id={task_run_id}"
    return [s["name"] for s in api.get(path).raise_for_status().json()]


def test_a_pong_says_that_events_and_task_runs_are_there(server_url: str) -> None:
    run = str(uuid4())
    events = [event("a"), *task_events(run, "t"), event("a")]
    with httpx.Client(base_url=server_url) as api, emitting(server_url) as socket:
        sent_safely(socket, events)
        assert stored_ids(api, "a") == [events[0]["id"], events[-1]["id"]]
        (task_run,) = task_runs(api, run)
        assert (task_run["state_name"], task_run["run_count"]) == ("Completed", 2)
        assert states(api, task_run["id"]) == ["Pending", "Running", "Completed"]


def test_what_is_no_event_is_ignored_and_the_connection_stays(sqlite_server_url: str) -> None:
    bad = [
        "{",
        "[]",
        '"text"',
        json.dumps({**event("a"), "id": "no id"}),
        json.dumps({**event("a"), "resource": {}}),
        json.dumps({**event("a"), "event": "x" * 1025}),
        json.dumps({**task_events(str(uuid4()), "t")[0], "payload": {}}),
        json.dumps({**event("a"), "payload": {"x": "x" * (4 * 2**20)}}),
    ]
    good = event("a")
    with httpx.Client(base_url=sqlite_server_url) as api, emitting(sqlite_server_url) as socket:
        for message in bad:
            socket.send(message)
        socket.send(json.dumps(good).encode())  # as bytes
        assert socket.ping().wait(10)
        assert stored_ids(api, "a") == [good["id"]]


def test_events_come_live_once_although_they_are_sent_twice(server_url: str) -> None:
    wanted = {"type": "filter", "filter": {"event": {"name": ["a", "end"]}}, "backfill": False}
    doubled, end = event("a"), event("end")
    with opened(server_url, "/events/out", AUTH, wanted) as out, emitting(server_url) as socket:
        assert received(out) == {"type": "auth_success"}
        for _ in range(40):  # the filter may take effect after our first one
            before = event("a")
            sent_safely(socket, [before])
            try:
                assert json.loads(out.recv(timeout=0.25))["event"]["id"] == before["id"]
                break
            except TimeoutError:
                continue
        sent_safely(socket, [doubled, doubled])
        with emitting(server_url) as again:
            sent_safely(again, [doubled, end])
        assert [received(out)["event"]["id"] for _ in range(2)] == [doubled["id"], end["id"]]


def test_reports_in_any_order_and_doubled_make_the_right_history(server_url: str) -> None:
    run = str(uuid4())
    pending, running, completed = task_events(run, "t")
    with httpx.Client(base_url=server_url) as api:
        for batch in ([completed, pending], [running, completed, running], [pending]):
            with emitting(server_url) as socket:
                sent_safely(socket, batch)
                (task_run,) = task_runs(api, run)
                assert task_run["state_name"] == "Completed"
        assert states(api, task_run["id"]) == ["Pending", "Running", "Completed"]


@pytest.mark.timeout(60)
def test_what_was_sent_before_a_ponged_ping_survives_a_kill(
    database_url: str, tmp_path: Path
) -> None:
    run = str(uuid4())
    events = [event("a") for _ in range(200)]
    for n in range(200):
        events += task_events(run, f"t{n:03}")
    home = tmp_path / "first"
    with ServerProcess(database_url, home) as server, emitting(server.url) as socket:
        send(socket, events)
        pong = socket.ping()
        send(socket, [event("later")] * 3)
        assert pong.wait(20)
        server.kill()
    home = tmp_path / "second"
    with running_server(database_url, home) as url, httpx.Client(base_url=url) as api:
        sent = sorted(e["id"] for e in events[:200])
        assert sorted(stored_ids(api, "a")) == sent
        assert [r["state_name"] for r in task_runs(api, run)] == ["Completed"] * 200
        with emitting(url) as socket:
            sent_safely(socket, events)  # a client that did not get the pong does that
        assert sorted(stored_ids(api, "a")) == sent
        found = task_runs(api, run)
        assert [r["name"] for r in found] == [f"t{n:03}" for n in range(200)]
        assert states(api, found[77]["id"]) == ["Pending", "Running", "Completed"]


@pytest.mark.timeout(60)
def test_what_was_sent_before_a_clean_close_survives_a_kill(
    database_url: str, tmp_path: Path
) -> None:
    run = str(uuid4())
    with ServerProcess(database_url, tmp_path / "first") as server:
        with emitting(server.url) as socket:
            for n in range(100):
                send(socket, task_events(run, f"t{n:03}"))
        server.kill()
    with (
        running_server(database_url, tmp_path / "second") as url,
        httpx.Client(base_url=url) as api,
    ):
        assert [r["state_name"] for r in task_runs(api, run)] == ["Completed"] * 100


def test_a_cut_connection_that_comes_back_loses_no_state(server_url: str) -> None:
    run = str(uuid4())
    parts = [task_events(run, f"t{n}") for n in range(5)]
    sent: list[Json] = []
    with httpx.Client(base_url=server_url) as api:
        for part in parts:
            with emitting(server_url) as socket:
                send(socket, sent)  # nothing of it was acknowledged
                send(socket, part)
                sent += part
                socket.socket.shutdown(2)  # as a cut cable: no closing handshake
        with emitting(server_url) as socket:
            sent_safely(socket, sent)
        found = task_runs(api, run)
        assert [r["name"] for r in found] == [f"t{n}" for n in range(5)]
        for task_run in found:
            assert states(api, task_run["id"]) == ["Pending", "Running", "Completed"]


@contextmanager
def stalled(database_url: str) -> Iterator[None]:
    """Inside the block nothing can be written to task runs."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()
        return
    with psycopg.connect(database_url) as lock:
        lock.execute("LOCK TABLE task_run IN ACCESS EXCLUSIVE MODE")
        yield
        lock.rollback()


def test_a_slow_database_delays_the_pong_and_loses_none(database_url: str, server_url: str) -> None:
    run = str(uuid4())
    with httpx.Client(base_url=server_url) as api, emitting(server_url) as socket:
        with stalled(database_url):
            send(socket, task_events(run, "t1"))
            first = socket.ping()
            send(socket, task_events(run, "t2"))
            second = socket.ping()
            assert not first.wait(0.7)
        assert first.wait(10)
        assert second.wait(10)
        assert [r["name"] for r in task_runs(api, run)] == ["t1", "t2"]


def test_pings_between_fragments_and_behind_a_flood_are_answered(server_url: str) -> None:
    run = str(uuid4())
    pending, running, completed = (json.dumps(e) for e in task_events(run, "t"))
    pongs = []
    with httpx.Client(base_url=server_url) as api, emitting(server_url) as socket:

        def fragments() -> Iterator[str]:
            for start in range(0, len(running), 50):
                yield running[start : start + 50]
                pongs.append(socket.ping())

        socket.send(pending)
        socket.send(fragments())
        flood = [event("a") for _ in range(3000)]
        send(socket, flood)
        socket.send(completed)
        assert socket.ping().wait(15)
        assert all(pong.wait(1) for pong in pongs)
        (task_run,) = task_runs(api, run)
        assert states(api, task_run["id"]) == ["Pending", "Running", "Completed"]
        body = {"filter": {"event": {"name": ["a"]}}}
        assert api.post("/events/filter", json=body).json()["total"] == 3000


def test_a_client_that_pings_and_does_not_read_fills_no_memory(sqlite_server_url: str) -> None:
    address = urlsplit(sqlite_server_url)
    mask, upgrade = bytes(4), "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with socket.create_connection((address.hostname, address.port or 80), timeout=15) as client:
        request = f"GET /api/events/in HTTP/1.1\r\nHost: {address.netloc}\r\n{upgrade}{key}"
        client.sendall(request.encode())
        assert b" 101 " in client.recv(4096)
        ping = bytes([0x89, 0x80 | 100]) + mask + b"p" * 100
        sent = 0
        for _ in range(400):
            client.sendall(ping * 1_000)
            sent += 1_000 * len(ping)
        client.sendall(bytes([0x89, 0x80 | 4]) + mask + b"last")
        got, end = 0, b""
        while b"last" not in end:
            part = client.recv(2**16)
            assert part
            got, end = got + len(part), (end + part)[-100:]
    assert got < sent / 2
