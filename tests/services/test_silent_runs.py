"""Runs of clients that know no attempts: watched from their first heartbeat event on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services.lost_runs import rescue_lost_runs, rescue_silent_runs
from penstock.store.database import Database
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(anyio_backend: str, database_url: str) -> AsyncIterator[Server]:
    server = Server(Settings(database_url=database_url, services=False))
    async with server.running():
        yield server


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    transport = httpx.ASGITransport(server.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api") as client:
        yield Api(client)


@pytest.fixture
def db(server: Server) -> Database:
    assert server.database is not None
    return server.database


async def running(api: Api) -> str:
    body = {"flow_id": await api.make_flow(), "state": {"type": "RUNNING"}}
    return str((await api.post("/flow_runs/", body))["id"])


async def beat(api: Api, run: str, *seconds: float) -> None:
    """Heartbeats that were sent so many seconds ago."""
    now = datetime.now(UTC)
    events = [
        {
            "id": str(uuid4()),
            "occurred": (now - timedelta(seconds=ago)).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        }
        for ago in seconds
    ]
    answer = await api.call("POST", "/events", events)
    assert answer.status_code == 204


async def state(api: Api, run: str) -> Json:
    return (await api.get(f"/flow_runs/{run}"))["state"]


async def rescue(db: Database, after_seconds: float) -> int:
    return await rescue_silent_runs(db, datetime.now(UTC) + timedelta(seconds=after_seconds))


async def set_state(api: Api, run: str, type: str) -> None:
    body = {"state": {"type": type}}
    assert (await api.post(f"/flow_runs/{run}/set_state", body))["status"] == "ACCEPT"


async def test_a_run_without_heartbeats_is_not_watched(api: Api, db: Database) -> None:
    run = await running(api)
    assert await rescue(db, 1_000_000) == 0
    assert (await state(api, run))["type"] == "RUNNING"


async def test_a_run_whose_heartbeats_end_has_crashed(api: Api, db: Database) -> None:
    run = await running(api)
    await beat(api, run, 0)
    # Nobody knows yet how far apart they are, so the usual 180 seconds count.
    assert await rescue(db, 535) == 0
    assert await rescue_lost_runs(db, datetime.now(UTC) + timedelta(seconds=545)) == 0
    assert await rescue(db, 545) == 1
    ended = await state(api, run)
    assert (ended["type"], ended["name"]) == ("CRASHED", "Crashed")
    assert "heartbeat" in ended["message"]
    assert await rescue(db, 100_000) == 0


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ((0.0,), 540),
        ((400.0, 0.0), 1200),
        ((400.0, 0.0, 0.0), 1200),  # in the time that was granted once, whatever comes later
        ((60.0, 30.0, 0.0), 540),  # the first one's time is not over yet
    ],
)
async def test_three_heartbeats_may_be_missed(
    api: Api, db: Database, sent: tuple[float, ...], seconds: int
) -> None:
    run = await running(api)
    for ago in sent:
        await beat(api, run, ago)
    assert await rescue(db, seconds - 5) == 0
    assert await rescue(db, seconds + 5) == 1


async def test_a_heartbeat_that_comes_late_wakes_no_dead(api: Api, db: Database) -> None:
    ended, waiting = await running(api), await running(api)
    await set_state(api, ended, "COMPLETED")
    body = {"flow_id": await api.make_flow(), "state": {"type": "PENDING"}}
    waiting = str((await api.post("/flow_runs/", body))["id"])
    for run in (ended, waiting, str(uuid4())):
        await beat(api, run, 0)
    assert await rescue(db, 1_000_000) == 0


async def test_a_run_that_ends_or_is_cancelled_is_watched_no_more(api: Api, db: Database) -> None:
    ended, cancelled = await running(api), await running(api)
    for run in (ended, cancelled):
        await beat(api, run, 0)
    await set_state(api, ended, "COMPLETED")
    await set_state(api, cancelled, "CANCELLING")
    assert await rescue(db, 1_000) == 1
    assert (await state(api, ended))["type"] == "COMPLETED"
    assert (await state(api, cancelled))["type"] == "CANCELLED"


async def test_a_run_with_an_attempt_is_held_by_that_alone(api: Api, db: Database) -> None:
    run = await running(api)
    attempt = {"Penstock-Attempt": str(uuid4())}
    body = {"state": {"type": "RUNNING", "name": "Again"}}
    answer = await api.call("POST", f"/flow_runs/{run}/set_state", body, headers=attempt)
    assert answer.json()["status"] == "ACCEPT", answer.text
    await beat(api, run, 0)
    assert await rescue(db, 1_000_000) == 0


async def test_what_is_no_flow_runs_heartbeat_changes_nothing(api: Api) -> None:
    for id in ("thing", "prefect.flow-run.x", "prefect.flow-run.", f"prefect.flow.{uuid4()}"):
        event = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": id},
        }
        assert (await api.call("POST", "/events", [event])).status_code == 204
