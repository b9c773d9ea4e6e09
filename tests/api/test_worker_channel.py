"""The websocket between a worker and its work pool, as the contract's workers use it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.api.test_websockets import AUTH, close_code, opened, received
from tests.conftest import sqlite_url
from tests.provision import running_server

Json = dict[str, Any]
CONSUMER = str(uuid4())
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}


def frame(kind: str, **payload: Any) -> Json:
    now = datetime.now(UTC).isoformat()
    return {"type": kind, "id": str(uuid4()), "sent_at": now, "payload": payload}


def hello(**changes: Any) -> Json:
    wanted = {
        "consumer_id": CONSUMER,
        "worker_name": "w",
        "worker_type": "process",
        "heartbeat_interval_seconds": 30,
        "supported_channel_versions": ["work_pool_worker_channel.v1"],
        "requested_capabilities": [
            "worker_heartbeat.v1",
            "work_pool_snapshot.v1",
            "cleanup_delivery.v1",
        ],
        "work_queue_names": [],
        "handled_cleanup_kinds": ["cancelling_timeout_teardown.v1"],
        "max_cleanup_concurrency": 1,
        "create_pool_if_not_found": False,
        "default_base_job_template": {},
        "worker_metadata": None,
    }
    return frame("worker.hello.v1", **(wanted | changes))


def heartbeat(**changes: Any) -> Json:
    said = {"consumer_id": CONSUMER, "worker_name": "w", "heartbeat_interval_seconds": 30}
    return frame("worker.heartbeat.v1", **(said | changes))


@contextmanager
def connected(url: str, *messages: Any, pool: str = "p") -> Iterator[ClientConnection]:
    with opened(url, f"/work_pools/{pool}/workers/connect", AUTH, *messages) as socket:
        yield socket


def make_pool(api: httpx.Client, **changes: Any) -> Json:
    body = {"name": "p", "type": "process"} | changes
    pool: Json = api.post("/work_pools/", json=body).raise_for_status().json()
    return pool


@pytest.fixture
def api(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url) as client:
        yield client


def test_a_hello_is_answered_with_the_pool_and_counts_as_a_heartbeat(
    api: httpx.Client, server_url: str
) -> None:
    pool = make_pool(api)
    with connected(server_url, hello()) as socket:
        assert received(socket) == {"type": "auth_success"}
        ready = received(socket)
        now = api.get("/work_pools/p").json()
        queues = api.post("/work_pools/p/queues/filter", json={}).json()
        assert now["status"] == "READY"
        assert set(ready) == {"type", "id", "sent_at", "payload"}
        assert ready["type"] == "worker.ready.v1"
        assert ready["payload"] == {
            "consumer_id": CONSUMER,
            "worker_id": None,
            "selected_channel_version": "work_pool_worker_channel.v1",
            "effective_heartbeat_interval_seconds": 30,
            "accepted_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
            "rejected_capabilities": ["cleanup_delivery.v1"],
            "effective_max_cleanup_concurrency": 0,
            "resolved_work_queues": [{"id": queues[0]["id"], "name": "default"}],
            "initial_snapshot": {
                "snapshot_sequence": 1,
                "reason": "initial",
                "work_pool": pool | {"status": "READY"},
            },
        }
        (worker,) = api.post("/work_pools/p/workers/filter", json={}).json()
        assert (worker["name"], worker["status"]) == ("w", "ONLINE")


def test_changes_that_concern_workers_come_at_once_others_with_the_next_heartbeat(
    api: httpx.Client, server_url: str
) -> None:
    make_pool(api)
    make_pool(api, name="other")
    with connected(server_url, hello()) as socket:
        for _ in range(2):
            received(socket)
        api.patch("/work_pools/p", json={"description": "d"}).raise_for_status()
        api.patch("/work_pools/other", json={"is_paused": True}).raise_for_status()
        api.patch("/work_pools/p", json={"concurrency_limit": 3}).raise_for_status()
        told = received(socket)
        assert told["type"] == "work_pool.snapshot.v1"
        assert told["payload"] == {
            "snapshot_sequence": 2,
            "reason": "work_pool_updated",
            "work_pool": api.get("/work_pools/p").json(),
        }
        api.patch("/work_pools/p", json={"description": "e"}).raise_for_status()
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.3)
        before = api.post("/work_pools/p/workers/filter", json={}).json()[0]
        socket.send(json.dumps(heartbeat(heartbeat_interval_seconds=7)))
        told = received(socket)["payload"]
        assert (told["snapshot_sequence"], told["reason"]) == (3, "heartbeat_reconciliation")
        assert told["work_pool"]["description"] == "e"
        after = api.post("/work_pools/p/workers/filter", json={}).json()[0]
        assert after["last_heartbeat_time"] > before["last_heartbeat_time"]
        assert after["heartbeat_interval_seconds"] == 7


def test_a_change_made_at_another_server_comes_too(database_url: str, tmp_path: Path) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("one server per SQLite file")
    with (
        running_server(database_url, tmp_path / "one") as one,
        running_server(database_url, tmp_path / "two") as two,
        httpx.Client(base_url=two) as api,
    ):
        make_pool(api)
        with connected(one, hello()) as socket:
            for _ in range(2):
                received(socket)
            api.patch("/work_pools/p", json={"is_paused": True}).raise_for_status()
            assert received(socket)["payload"]["work_pool"]["status"] == "PAUSED"


def test_a_hello_makes_the_pool_or_fills_its_template(api: httpx.Client, server_url: str) -> None:
    wanted = hello(create_pool_if_not_found=True, default_base_job_template=TEMPLATE)
    with connected(server_url, wanted) as socket:
        received(socket)
        ready = received(socket)["payload"]
        pool = ready["initial_snapshot"]["work_pool"]
        assert (pool["type"], pool["status"]) == ("process", "READY")
        assert pool["base_job_template"] == TEMPLATE
    make_pool(api, name="empty")
    make_pool(api, name="full", base_job_template=TEMPLATE)
    other = TEMPLATE | {"variables": {"properties": {"command": {"type": "string", "title": "C"}}}}
    for name, template in (("empty", other), ("full", TEMPLATE)):
        with connected(server_url, hello(default_base_job_template=other), pool=name) as socket:
            received(socket)
            received(socket)
        assert api.get(f"/work_pools/{name}").json()["base_job_template"] == template


def test_a_worker_may_serve_some_queues_only(api: httpx.Client, server_url: str) -> None:
    make_pool(api)
    queue = api.post("/work_pools/p/queues", json={"name": "q"}).raise_for_status().json()
    with connected(server_url, hello(work_queue_names=["q"])) as socket:
        received(socket)
        resolved = received(socket)["payload"]["resolved_work_queues"]
        assert resolved == [{"id": queue["id"], "name": "q"}]


def test_a_deleted_pool_ends_the_connection(api: httpx.Client, server_url: str) -> None:
    make_pool(api)
    with connected(server_url, hello()) as socket:
        for _ in range(2):
            received(socket)
        api.delete("/work_pools/p").raise_for_status()
        assert close_code(socket) == (1008, "authorization_failed")


def without(key: str) -> Json:
    message = hello()
    del message["payload"][key]
    return message


@pytest.mark.parametrize(
    ("messages", "closed"),
    [
        ((hello(work_queue_names=["none"]),), (1008, "authorization_failed")),
        ((hello(supported_channel_versions=["v9"]),), (1008, "unsupported_version")),
        ((hello(requested_capabilities=["worker_heartbeat.v1"]),), (1002, "protocol_error")),
        ((hello(colour="red"),), (1002, "protocol_error")),
        ((hello() | {"colour": "red"},), (1002, "protocol_error")),
        ((without("worker_name"),), (1002, "protocol_error")),
        ((hello(worker_name="a\0b"),), (1002, "protocol_error")),
        ((heartbeat(),), (1002, "protocol_error")),
        (("{",), (1002, "protocol_error")),
        ((hello(), hello()), (1002, "protocol_error")),
        ((hello(), heartbeat(consumer_id=str(uuid4()))), (1002, "protocol_error")),
        ((hello(), heartbeat(colour="red")), (1002, "protocol_error")),
        ((hello(), frame("cleanup.ack.v1", message_id=CONSUMER)), (1002, "protocol_error")),
    ],
)
def test_what_a_worker_may_not_say_ends_the_connection(
    messages: tuple[Any, ...], closed: tuple[int, str], channel_url: str
) -> None:
    with connected(channel_url, *messages) as socket:
        assert close_code(socket) == closed


@pytest.fixture(scope="module")
def channel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("channel")
    with running_server(sqlite_url(folder), folder / "home") as url:
        with httpx.Client(base_url=url) as api:
            make_pool(api)
        yield url


@pytest.mark.parametrize(
    ("pool", "changes"),
    [
        ("none", {}),
        ("prefect-managed", {"create_pool_if_not_found": True}),
    ],
)
def test_a_pool_that_is_not_there_refuses(pool: str, changes: Json, channel_url: str) -> None:
    with connected(channel_url, hello(**changes), pool=pool) as socket:
        assert close_code(socket) == (1008, "authorization_failed")


def test_a_template_that_is_no_schema_is_a_protocol_error(channel_url: str) -> None:
    template = {"job_configuration": {}, "variables": {"type": 7}}
    message = hello(create_pool_if_not_found=True, default_base_job_template=template)
    with connected(channel_url, message, pool="bad") as socket:
        assert close_code(socket) == (1002, "protocol_error")


def test_without_the_subprotocol_or_the_token_nobody_connects(tmp_path: Path) -> None:
    path = "/work_pools/p/workers/connect"
    with running_server(sqlite_url(tmp_path), tmp_path / "h", "--auth-string", "a:b") as url:
        with opened(url, path, {"type": "auth", "token": "wrong"}) as socket:
            assert close_code(socket) == (1008, "authentication_failed")
        with pytest.raises(InvalidStatus) as refused, opened(url, path, prefect=False):
            pass
        assert refused.value.response.status_code == 403
