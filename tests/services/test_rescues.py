"""What loops do with runs that nobody ends: lost, paused for too long, cancelled by halves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services.cancellations import clean_up_cancelled, clean_up_cancelled_before
from penstock.services.expired_pauses import fail_expired_pauses
from penstock.services.lost_runs import rescue_lost_runs
from penstock.store.database import Database
from penstock.store.tables import flow_run
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)


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


async def deploy(api: Api, **labels: Json) -> str:
    body = {"name": "d", "flow_id": await api.make_flow(), "labels": labels}
    return str((await api.post("/deployments/", body))["id"])


async def propose(api: Api, run: str, state: str | Json, attempt: str | None = None) -> Json:
    body = {"state": {"type": state} if isinstance(state, str) else state}
    headers = {} if attempt is None else {"Penstock-Attempt": attempt}
    answer = await api.call("POST", f"/flow_runs/{run}/set_state", body, headers=headers)
    return answer.json()


async def start(api: Api, run: str) -> str:
    """Take a run and begin it; the attempt."""
    attempt = str(uuid4())
    for type in ("PENDING", "RUNNING"):
        assert (await propose(api, run, type, attempt))["status"] == "ACCEPT"
    return attempt


async def read(api: Api, run: str) -> Json:
    return await api.get(f"/flow_runs/{run}")


async def lose(db: Database) -> None:
    assert await rescue_lost_runs(db, datetime.now(UTC)) == 0
    long_ago = datetime.now(UTC) - timedelta(seconds=1)
    held = flow_run.c.attempt_expires_at.is_not(None)
    expire = update(flow_run).where(held).values(attempt_expires_at=long_ago)
    await db.write(lambda tx: tx.run(expire))
    assert await rescue_lost_runs(db, datetime.now(UTC)) == 1


def task_event(flow_run: str, task_run: str, state: str, occurred: datetime) -> Json:
    keys = {"name": "t", "task_key": "t", "dynamic_key": task_run, "run_count": 1}
    return {
        "id": str(uuid4()),
        "occurred": occurred.isoformat(),
        "event": f"prefect.task-run.{state.capitalize()}",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{task_run}",
            "prefect.orchestration": "client",
        },
        "related": [
            {
                "prefect.resource.id": f"prefect.flow-run.{flow_run}",
                "prefect.resource.role": "flow-run",
            }
        ],
        "payload": {"validated_state": {"type": state}, "task_run": keys},
    }


# Lost attempts


async def test_a_lost_run_is_executed_again_when_its_labels_say_so(api: Api, db: Database) -> None:
    deployment = await deploy(api, **{"penstock.on_lost": "reschedule"})
    run = (await api.post(f"/deployments/{deployment}/create_flow_run"))["id"]
    old = await start(api, run)
    await lose(db)
    lost = await read(api, run)
    assert (lost["state_type"], lost["state_name"]) == ("SCHEDULED", "Rescheduled")
    assert (lost["run_count"], lost["end_time"]) == (1, None)
    due = await api.post(
        "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    )
    assert [found["id"] for found in due] == [run]

    # the old attempt comes back
    assert (await propose(api, run, "COMPLETED", old))["status"] == "ABORT"
    event = task_event(run, str(uuid4()), "RUNNING", datetime.now(UTC))
    late = await api.call("POST", "/events", [event], headers={"Penstock-Attempt": old})
    assert late.status_code == 410
    renewed = await api.call("POST", f"/penstock/attempts/{old}/renew")
    assert renewed.status_code == 410

    await start(api, run)
    again = await read(api, run)
    assert (again["state_type"], again["run_count"]) == ("RUNNING", 2)
    assert (await propose(api, run, "COMPLETED", old))["status"] == "ABORT"


async def test_a_run_that_loses_attempt_after_attempt_ends_crashed(api: Api, db: Database) -> None:
    deployment = await deploy(api, **{"penstock.on_lost": "reschedule", "penstock.max_lost": 2})
    run = (await api.post(f"/deployments/{deployment}/create_flow_run"))["id"]
    for name in ("Rescheduled", "Rescheduled", "Crashed"):
        await start(api, run)
        await lose(db)
        assert (await read(api, run))["state_name"] == name
    # a person runs it again: it is counted from there
    await propose(api, run, "SCHEDULED")
    await start(api, run)
    await lose(db)
    assert (await read(api, run))["state_name"] == "Rescheduled"


async def test_what_was_paused_in_a_lost_process_pauses_again(api: Api, db: Database) -> None:
    deployment = await deploy(api, **{"penstock.on_lost": "reschedule"})
    run = (await api.post(f"/deployments/{deployment}/create_flow_run"))["id"]
    pause = {"type": "PAUSED", "state_details": {"pause_key": "1"}}
    for _ in range(2):
        attempt = await start(api, run)
        assert (await propose(api, run, pause, attempt))["status"] == "ACCEPT"
        await lose(db)
    assert (await read(api, run))["run_count"] == 2


async def test_without_the_label_or_a_deployment_a_lost_run_has_crashed(
    api: Api, db: Database
) -> None:
    deployment = await deploy(api)
    of_deployment = (await api.post(f"/deployments/{deployment}/create_flow_run"))["id"]
    flow = await api.make_flow("other")
    alone = (await api.make_flow_run(flow, labels={"penstock.on_lost": "reschedule"}))["id"]
    for run in (of_deployment, alone):
        if run == of_deployment:
            await start(api, run)
        else:
            await propose(api, run, "RUNNING", str(uuid4()))
        await lose(db)
        assert (await read(api, run))["state_type"] == "CRASHED"


async def test_a_lost_run_that_was_being_cancelled_is_cancelled(api: Api, db: Database) -> None:
    deployment = await deploy(api, **{"penstock.on_lost": "reschedule"})
    run = (await api.post(f"/deployments/{deployment}/create_flow_run"))["id"]
    await start(api, run)
    await propose(api, run, "CANCELLING")
    await lose(db)
    assert (await read(api, run))["state_type"] == "CANCELLED"


# Pauses


async def test_a_pause_that_timed_out_fails_and_no_other(api: Api, db: Database) -> None:
    flow = await api.make_flow()
    runs = []
    for timeout in ("2026-05-04T12:00:00.5Z", "2026-05-04T14:00:01+02:00", None):
        run = (await api.make_flow_run(flow, "RUNNING"))["id"]
        details = {"pause_timeout": timeout, "pause_key": "1"}
        await propose(api, run, {"type": "PAUSED", "state_details": details})
        runs.append(run)

    async def states() -> list[str]:
        return [(await read(api, run))["state_type"] for run in runs]

    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert await fail_expired_pauses(db, noon) == 0
    assert await fail_expired_pauses(db, noon + timedelta(seconds=1)) == 1
    assert await states() == ["FAILED", "PAUSED", "PAUSED"]
    assert await fail_expired_pauses(db, noon + timedelta(seconds=2)) == 1
    assert await states() == ["FAILED", "FAILED", "PAUSED"]
    assert await fail_expired_pauses(db, noon + timedelta(days=9000)) == 0


# Cancellations


async def test_tasks_of_a_cancelled_run_end_with_it(api: Api, db: Database) -> None:
    flow = await api.make_flow()
    run = (await api.make_flow_run(flow, "RUNNING"))["id"]
    other = (await api.make_flow_run(flow, "RUNNING"))["id"]
    tasks = {name: str(uuid4()) for name in ("ended", "running", "ahead", "other")}
    begun = datetime.now(UTC) - timedelta(seconds=5)
    events = [
        task_event(run, tasks["ended"], "COMPLETED", begun),
        task_event(run, tasks["running"], "RUNNING", begun),
        task_event(run, tasks["ahead"], "RUNNING", begun + timedelta(hours=1)),
        task_event(other, tasks["other"], "RUNNING", begun),
    ]
    await api.post("/events", events)
    now = datetime.now(UTC)
    assert await clean_up_cancelled(db, now) == 0
    await propose(api, run, "CANCELLED")
    assert await clean_up_cancelled(db, datetime.now(UTC)) == 2
    states = {n: (await api.get(f"/task_runs/{id}"))["state_type"] for n, id in tasks.items()}
    assert states == {
        "ended": "COMPLETED",
        "running": "CANCELLED",
        "ahead": "CANCELLED",
        "other": "RUNNING",
    }
    cancelled = await api.get(f"/task_runs/{tasks['running']}")
    assert cancelled["end_time"] is not None
    assert cancelled["total_run_time"] >= 5
    assert await clean_up_cancelled(db, datetime.now(UTC)) == 0


async def test_a_task_that_ends_with_its_cancelled_run_gives_its_slots_back(
    api: Api, db: Database
) -> None:
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 1})
    run = (await api.make_flow_run(await api.make_flow(), "RUNNING"))["id"]
    body = {"flow_run_id": run, "task_key": "k", "dynamic_key": "0", "tags": ["db"]}
    task = (await api.post("/task_runs/", body))["id"]
    await api.post(f"/task_runs/{task}/set_state", {"state": {"type": "RUNNING"}})
    assert (await api.get("/concurrency_limits/tag/db"))["active_slots"] == [task]
    await propose(api, run, "CANCELLED")
    assert await clean_up_cancelled(db, datetime.now(UTC)) == 1
    assert (await api.get("/concurrency_limits/tag/db"))["active_slots"] == []
    assert (await api.get(f"/task_runs/{task}"))["state_type"] == "CANCELLED"


async def test_what_was_cancelled_hours_ago_is_looked_at_by_another_loop(
    api: Api, db: Database
) -> None:
    run = (await api.make_flow_run(await api.make_flow(), "RUNNING"))["id"]
    await propose(api, run, "CANCELLED")
    await api.post("/events", [task_event(run, str(uuid4()), "RUNNING", datetime.now(UTC))])
    assert await clean_up_cancelled(db, datetime.now(UTC) + timedelta(hours=25)) == 0
    later = datetime.now(UTC) + timedelta(hours=3)
    assert await clean_up_cancelled(db, later) == 0
    assert await clean_up_cancelled_before(db, later) == 1


async def test_subflows_of_a_cancelled_run_are_cancelled(api: Api, db: Database) -> None:
    flow = await api.make_flow()
    deployment = await deploy(api)
    run = (await api.make_flow_run(flow, "RUNNING"))["id"]
    parents = [str(uuid4()) for _ in range(3)]
    await api.post("/events", [task_event(run, p, "RUNNING", NOW) for p in parents])
    alone, ended = [
        (await api.make_flow_run(flow, state, parent_task_run_id=parent))["id"]
        for state, parent in (("RUNNING", parents[0]), ("COMPLETED", parents[1]))
    ]
    path = f"/deployments/{deployment}/create_flow_run"
    elsewhere = (await api.post(path, {"parent_task_run_id": parents[2]}))["id"]
    await start(api, elsewhere)
    await propose(api, run, "CANCELLED")
    await clean_up_cancelled(db, datetime.now(UTC))
    states = [(await read(api, child))["state_type"] for child in (alone, ended, elsewhere)]
    assert states == ["CANCELLED", "COMPLETED", "CANCELLING"]
    assert await clean_up_cancelled(db, datetime.now(UTC)) == 0


async def test_a_cancellation_that_nobody_ends_is_ended(api: Api, db: Database) -> None:
    run = (await api.make_flow_run(await api.make_flow(), "RUNNING"))["id"]
    await propose(api, run, "CANCELLING")
    assert await clean_up_cancelled(db, datetime.now(UTC) + timedelta(seconds=299)) == 0
    assert await clean_up_cancelled(db, datetime.now(UTC) + timedelta(seconds=301)) == 1
    assert (await read(api, run))["state_type"] == "CANCELLED"
