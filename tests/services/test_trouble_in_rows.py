"""A row that cannot be read, or many at once, keep no loop from doing what else is due."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from penstock.core.ids import new_id
from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services.cancellations import clean_up_cancelled
from penstock.services.late_runs import mark_late_runs
from penstock.services.lost_runs import rescue_lost_runs
from penstock.services.run_counts import fold_run_counts
from penstock.store.bulk_rows import insert_rows
from penstock.store.database import Database
from penstock.store.flow_run_counts import CHUNK, Countable, sum_counts
from penstock.store.tables import flow_run_change, state
from tests.api.calls import Api

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)
LATER = timedelta(minutes=10)


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


async def spoil(db: Database, run_id: str) -> None:
    """Make the states of a run unreadable."""
    change = update(state).where(state.c.run_id == UUID(run_id)).values(state_details="no JSON")
    await db.write(lambda tx: tx.run(change))


async def names(api: Api, *run_ids: str) -> list[str]:
    found = await api.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": run_ids}}})
    return sorted(run["state_name"] for run in found)


async def test_late_runs_are_marked_beside_one_that_cannot_be_read(
    api: Api, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    flow = await api.make_flow()
    bad, good = [await api.make_flow_run(flow, "SCHEDULED") for _ in range(2)]
    await spoil(db, bad["id"])
    with caplog.at_level(logging.ERROR):
        await mark_late_runs(db, datetime.now(UTC) + LATER)
    assert bad["id"] in caplog.text
    assert await names(api, good["id"]) == ["Late"]


async def test_lost_and_stuck_runs_end_beside_those_that_cannot_be_read(
    api: Api, db: Database
) -> None:
    flow = await api.make_flow()
    runs = [await api.make_flow_run(flow, "PENDING") for _ in range(4)]
    for run in runs:
        headers = {"Penstock-Attempt": str(new_id(NOW))}
        path, body = f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}}
        await api.call("POST", path, body, headers=headers)
    for run in runs[2:]:
        await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
    await spoil(db, runs[0]["id"])
    await spoil(db, runs[2]["id"])
    await clean_up_cancelled(db, datetime.now(UTC) + LATER)
    assert await names(api, runs[3]["id"]) == ["Cancelled"]
    assert await rescue_lost_runs(db, datetime.now(UTC) + LATER) == 1
    assert await names(api, runs[1]["id"]) == ["Crashed"]


async def test_changes_that_have_piled_up_are_counted_in_parts(db: Database) -> None:
    nobody, most = UUID(int=0), CHUNK + 7
    rows = [(nobody, n % 3, "RUNNING", 1) for n in range(most)]
    await db.write(partial(insert_rows, table=flow_run_change, rows=rows))
    count = partial(sum_counts, wanted=Countable())
    assert await db.read(count) == most
    await fold_run_counts(db, NOW)
    assert await db.read(count) == most
    assert (
        await db.read(lambda tx: tx.value(select(func.count("*")).select_from(flow_run_change)))
        == 0
    )
