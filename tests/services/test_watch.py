"""One look finds the work of all loops; what it finds is done at once, and idle it costs little."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services import make_loops
from penstock.services.cancellations import RECENT
from penstock.services.late_runs import LATE_AFTER
from penstock.services.loop import Awake
from penstock.store.due_work import WATCHED, select_due_work
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

LATER = timedelta(seconds=40)


async def due(server: Server, after: timedelta = timedelta(0)) -> set[str]:
    """What is due so long after now."""
    now = datetime.now(UTC) + after
    assert server.database is not None
    look = partial(select_due_work, now=now, late_after=LATE_AFTER, recent=RECENT)
    return await server.database.read(look)


@pytest.fixture
async def idle_server(anyio_backend: str, database_url: str) -> Any:
    server = Server(Settings(database_url=database_url, services=False))
    async with server.running():
        yield server


def client_of(server: Server) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(server.app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api")


async def test_every_loop_that_is_watched_is_woken(idle_server: Server) -> None:
    assert {loop.name for loop in make_loops() if loop.wake is not None} == WATCHED
    assert await due(idle_server) == set()


async def test_a_look_finds_what_has_become_due(idle_server: Server) -> None:
    async with client_of(idle_server) as client:
        api = Api(client)
        flow = await api.post("/flows/", {"name": "watched"})
        deployment = await api.post("/deployments/", {"name": "d", "flow_id": flow["id"]})
        path = f"/deployments/{deployment['id']}/create_flow_run"
        await api.post(path, {})
        assert await due(idle_server) == {"run counts"}
        assert await due(idle_server, LATER) >= {"late runs"}

        async def run(*types: str, headers: dict[str, str] | None = None) -> None:
            created = await api.post("/flow_runs/", {"flow_id": flow["id"]})
            for type in types:
                await client.post(
                    f"/flow_runs/{created['id']}/set_state",
                    json={"state": {"type": type}},
                    headers=headers,
                )

        await run("RUNNING", "PAUSED")
        assert "expired pauses" in await due(idle_server)
        assert "cancellations" not in await due(idle_server)
        await run("RUNNING", "CANCELLED")
        assert "cancellations" in await due(idle_server)
        assert "cancellations" not in await due(idle_server, 2 * RECENT)
        await run("RUNNING", "CANCELLING")
        assert "cancellations" in await due(idle_server, 2 * RECENT)
        attempt = {"Penstock-Attempt": "0190a000-0000-7000-8000-000000000001"}
        await run("RUNNING", headers=attempt)
        assert "lost runs" not in await due(idle_server)
        assert "lost runs" in await due(idle_server, LATER)
        await api.post("/v2/concurrency_limits/", {"name": "few", "limit": 1})
        lease = {"names": ["few"], "slots": 1, "lease_duration": 60}
        await api.post("/v2/concurrency_limits/increment-with-lease", lease)
        assert "repossessor" not in await due(idle_server)
        assert "repossessor" in await due(idle_server, 2 * LATER)
        schedule = [{"schedule": {"interval": 60}}]
        path = f"/deployments/{deployment['id']}/schedules"
        await api.post(path, schedule)
        assert "scheduler" in await due(idle_server)


async def test_a_running_server_does_what_the_look_finds(database_url: str) -> None:
    """The real loops: a schedule gets its runs without waiting for a loop's slow pace."""
    server = Server(Settings(database_url=database_url))
    async with server.running(), client_of(server) as client:
        api = Api(client)
        flow = await api.post("/flows/", {"name": "watched"})
        body = {"name": "d", "flow_id": flow["id"], "schedules": [{"schedule": {"interval": 3600}}]}
        await api.post("/deployments/", body)
        await until(lambda: api.post("/flow_runs/count", {}))


async def until(asked: Callable[[], Any]) -> None:
    async with asyncio.timeout(15):
        while not await asked():  # noqa: ASYNC110 - another task of the server makes it true
            await asyncio.sleep(0.1)


def test_a_process_that_was_stopped_for_a_while_knows_it() -> None:
    awake = Awake()
    began = awake.since
    awake.beat(began + timedelta(seconds=6))
    assert awake.since == began
    awake.beat(began + timedelta(seconds=26))
    assert awake.since == began + timedelta(seconds=26)
