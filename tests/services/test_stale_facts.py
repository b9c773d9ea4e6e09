"""What loops have read may have changed when they write: nothing is made or named by old facts."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from penstock.core.errors import Gone
from penstock.operations.attempts import renew_attempt
from penstock.operations.schedules import (
    PreparedRuns,
    create_scheduled_runs,
    prepare_scheduled_runs,
)
from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services import lost_runs
from penstock.services.late_runs import mark_runs
from penstock.services.scheduler import schedule_runs
from penstock.store.attempts import select_lost_attempts
from penstock.store.database import Database
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.late_runs import select_late_runs
from penstock.store.schedules import select_schedules_to_replenish
from penstock.store.tables import deployment_schedule
from penstock.store.transaction import Transaction
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)
HOURLY = {"schedule": {"cron": "0 * * * *"}}


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


async def deploy(api: Api, *schedules: Json) -> Json:
    body = {"name": "d", "flow_id": await api.make_flow(), "schedules": list(schedules)}
    return await api.post("/deployments/", body)


async def prepared(db: Database) -> PreparedRuns:
    """What a scheduler is about to write."""
    [schedule] = await db.read(partial(select_schedules_to_replenish, now=NOW))
    found = await db.read(partial(prepare_scheduled_runs, schedule=schedule, now=NOW))
    assert found is not None
    assert len(found.runs) == 3
    return found


@pytest.mark.parametrize("change", ["switch off", "delete", "pause"])
async def test_a_schedule_that_changed_while_its_runs_were_thought_out_makes_none(
    api: Api, db: Database, change: str
) -> None:
    deployment = await deploy(api, HOURLY)
    path = f"/deployments/{deployment['id']}"
    one = f"{path}/schedules/{deployment['schedules'][0]['id']}"
    runs = await prepared(db)
    if change == "switch off":
        await api.patch(one, {"active": False})
    elif change == "delete":
        await api.delete(one)
    else:
        await api.post(f"{path}/pause_deployment")
    assert await db.write(partial(create_scheduled_runs, prepared=runs)) == 0
    assert await api.post("/flow_runs/count", {}) == 0


async def test_a_pause_also_removes_the_runs_that_a_scheduler_is_just_writing(
    api: Api, db: Database
) -> None:
    deployment = await deploy(api, HOURLY)
    runs = await prepared(db)
    written, go = threading.Event(), threading.Event()

    def slowly(tx: Transaction) -> int:
        made = create_scheduled_runs(tx, runs)
        written.set()
        assert go.wait(10)
        return made

    scheduler = asyncio.create_task(db.write(slowly))
    await asyncio.to_thread(written.wait, 10)
    pause = asyncio.create_task(api.post(f"/deployments/{deployment['id']}/pause_deployment"))
    await asyncio.wait([pause], timeout=0.3)
    go.set()
    assert await scheduler == 3
    await pause
    assert await api.post("/flow_runs/count", {}) == 0


async def test_a_deleted_deployment_leaves_no_run_that_a_scheduler_was_just_writing(
    api: Api, db: Database
) -> None:
    deployment = await deploy(api, HOURLY)
    runs = await prepared(db)
    written, go = threading.Event(), threading.Event()

    def slowly(tx: Transaction) -> int:
        made = create_scheduled_runs(tx, runs)
        written.set()
        assert go.wait(10)
        return made

    scheduler = asyncio.create_task(db.write(slowly))
    await asyncio.to_thread(written.wait, 10)
    deletion = asyncio.create_task(api.delete(f"/deployments/{deployment['id']}"))
    await asyncio.wait([deletion], timeout=0.3)
    go.set()
    assert await scheduler == 3
    await deletion
    assert await api.post("/flow_runs/count", {}) == 0


async def test_a_schedule_that_cannot_be_used_holds_up_no_other(api: Api, db: Database) -> None:
    deployment = await deploy(api, HOURLY, HOURLY)
    first = UUID(deployment["schedules"][0]["id"])
    odd = {"schedule": '{"cron":"0 * * * *","timezone":"No/Where"}'}
    table = deployment_schedule
    await db.write(lambda tx: tx.run(update(table).where(table.c.id == first).values(odd)))
    assert await schedule_runs(db, NOW) == 3


async def test_a_run_that_waits_for_its_retry_by_now_is_not_named_late(
    api: Api, db: Database
) -> None:
    deployment = await deploy(api)
    run = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    gone = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    later = datetime.now(UTC) + timedelta(minutes=5)
    rows: Any = await db.read(partial(select_late_runs, due_before=later, limit=10))
    assert len(rows) == 2
    state = {
        "type": "SCHEDULED",
        "name": "AwaitingRetry",
        "state_details": {"scheduled_time": (NOW + timedelta(hours=1)).isoformat()},
    }
    await api.post(f"/flow_runs/{run['id']}/set_state", {"state": state})
    await api.delete(f"/flow_runs/{gone['id']}")
    await db.write(partial(mark_runs, rows=rows, now=later))
    assert (await api.get(f"/flow_runs/{run['id']}"))["state_name"] == "AwaitingRetry"


async def test_a_run_whose_renewal_was_answered_is_not_ended_as_lost(
    api: Api, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await api.make_flow_run(await api.make_flow())
    attempt = uuid4()
    await api.client.post(
        f"/flow_runs/{run['id']}/set_state",
        json={"state": {"type": "RUNNING"}},
        headers={"Penstock-Attempt": str(attempt)},
    )
    later = datetime.now(UTC) + timedelta(minutes=1)
    [lost] = await db.read(partial(select_lost_attempts, now=later))
    seen, go = threading.Event(), threading.Event()

    def slowly(tx: Transaction, id: UUID) -> Any:
        row = select_flow_run_facts(tx, id)
        seen.set()
        go.wait(10)
        return row

    monkeypatch.setattr(lost_runs, "select_flow_run_facts", slowly)
    ending = asyncio.create_task(db.write(partial(lost_runs.end_lost_run, lost=lost, now=later)))
    await asyncio.to_thread(seen.wait, 10)
    renewing: asyncio.Task[Any] = asyncio.create_task(
        db.write(partial(renew_attempt, attempt=attempt, now=later))
    )
    await asyncio.wait([renewing], timeout=0.3)
    go.set()
    ended = await ending
    renewed: Any = (await asyncio.gather(renewing, return_exceptions=True))[0]
    state = (await api.get(f"/flow_runs/{run['id']}"))["state_type"]
    assert (ended, isinstance(renewed, Gone), state) == (True, True, "CRASHED")
