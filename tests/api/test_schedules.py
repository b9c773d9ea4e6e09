"""Schedules over HTTP, and the runs that the loops make of them at times that are given here."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penstock.server.app import Server
from penstock.services.late_runs import mark_late_runs
from penstock.services.scheduler import schedule_runs
from penstock.store.database import Database
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


@pytest.fixture
def db(server: Server) -> Database:
    assert server.database is not None
    return server.database


async def deploy(api: Api, *schedules: Json, **fields: Json) -> Json:
    flow_id = await api.make_flow()
    listed = [s if "schedule" in s else {"schedule": s} for s in schedules]
    body = {"name": "d", "flow_id": flow_id, "schedules": listed, **fields}
    return await api.post("/deployments/", body)


async def runs(api: Api) -> list[Json]:
    return await api.post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})


async def test_an_hourly_schedule_has_three_runs_and_an_hour_ahead(api: Api, db: Database) -> None:
    deployment = await deploy(
        api, {"schedule": {"cron": "0 * * * *"}, "slug": "hourly", "parameters": {"a": 2}},
        tags=["t"], parameters={"a": 1, "b": 1},
    )  # fmt: skip
    now = datetime(2030, 1, 1, 9, 30, tzinfo=UTC)
    assert await schedule_runs(db, now) == 3
    assert await schedule_runs(db, now) == 0
    made = await runs(api)
    at = [f"2030-01-01T{h}:00:00Z" for h in (10, 11, 12)]
    assert [r["expected_start_time"] for r in made] == at
    first = made[0]
    assert (first["state_name"], first["auto_scheduled"]) == ("Scheduled", True)
    assert first["parameters"] == {"a": 2, "b": 1}
    assert sorted(first["tags"]) == ["auto-scheduled", "t"]
    schedule = deployment["schedules"][0]
    assert first["created_by"] == {
        "id": schedule["id"], "type": "SCHEDULE", "display_value": "hourly"
    }  # fmt: skip
    key = f"scheduled {deployment['id']} {schedule['id']} 2030-01-01 10:00:00+00:00"
    assert first["idempotency_key"] == key
    assert await schedule_runs(db, now + HOUR) == 1


async def test_short_intervals_reach_an_hour_ahead(api: Api, db: Database) -> None:
    anchor = "2030-01-01T00:00:00Z"
    await deploy(api, {"interval": 1200, "anchor_date": anchor})
    assert await schedule_runs(db, datetime(2030, 1, 1, 9, 30, tzinfo=UTC)) == 4


async def test_a_paused_or_inactive_schedule_makes_no_runs(api: Api, db: Database) -> None:
    now = datetime.now(UTC)
    paused = await deploy(api, {"cron": "0 * * * *"}, paused=True)
    assert await schedule_runs(db, now) == 0
    await api.post(f"/deployments/{paused['id']}/resume_deployment")
    assert await schedule_runs(db, now) == 3
    [schedule] = await api.get(f"/deployments/{paused['id']}/schedules")
    path = f"/deployments/{paused['id']}/schedules/{schedule['id']}"
    await api.patch(path, {"active": False})
    assert await schedule_runs(db, now) == 0
    assert await runs(api) == []
    await api.patch(path, {"active": True})
    assert await schedule_runs(db, now) == 3


async def test_a_pause_removes_the_runs_that_schedules_made_and_no_others(
    api: Api, db: Database
) -> None:
    deployment = await deploy(api, {"cron": "0 * * * *"})
    by_hand = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    now = datetime.now(UTC)
    await schedule_runs(db, now)
    await api.post(f"/deployments/{deployment['id']}/pause_deployment")
    assert [r["id"] for r in await runs(api)] == [by_hand["id"]]
    await api.post(f"/deployments/{deployment['id']}/resume_deployment")
    assert await schedule_runs(db, now) == 3


async def test_schedulers_that_run_at_once_make_each_time_once(
    api: Api, db: Database, database_url: str
) -> None:
    await deploy(api, {"cron": "0 * * * *"}, {"cron": "*/5 * * * *"})
    now = datetime.now(UTC)
    both = [db, await Database.open(database_url)] if db.is_postgres else [db, db]
    await asyncio.gather(*[schedule_runs(one, now) for one in both * 3])
    made = [(r["created_by"]["id"], r["expected_start_time"]) for r in await runs(api)]
    assert len(set(made)) == len(made) >= 3 + 12
    if both[1] is not db:
        await both[1].close()


async def test_a_run_that_nobody_takes_is_late_after_15_seconds(api: Api, db: Database) -> None:
    deployment = await deploy(api)
    run = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    due = datetime.fromisoformat(run["next_scheduled_start_time"])
    assert await mark_late_runs(db, due + timedelta(seconds=14)) == 0
    assert await mark_late_runs(db, due + timedelta(seconds=16)) == 1
    assert await mark_late_runs(db, due + timedelta(seconds=60)) == 0
    late = await api.get(f"/flow_runs/{run['id']}")
    assert (late["state_type"], late["state_name"]) == ("SCHEDULED", "Late")
    assert late["next_scheduled_start_time"] == run["next_scheduled_start_time"]


async def test_schedules_are_added_changed_and_deleted(api: Api, db: Database) -> None:
    deployment = await deploy(api, {"schedule": {"cron": "0 * * * *"}, "slug": "a"})
    path = f"/deployments/{deployment['id']}/schedules"
    [added] = await api.post(path, [{"schedule": {"interval": 3600}, "slug": "b"}])
    again = await api.call("POST", path, [{"schedule": {"interval": 60}, "slug": "b"}])
    assert again.status_code == 409
    now = datetime.now(UTC)
    assert await schedule_runs(db, now) >= 6
    await api.delete(f"{path}/{added['id']}")
    assert {r["created_by"]["display_value"] for r in await runs(api)} == {"a"}
    assert [s["slug"] for s in await api.get(path)] == ["a"]
    assert (await api.call("DELETE", f"{path}/{added['id']}")).status_code == 404


async def test_runs_are_made_on_demand(api: Api) -> None:
    deployment = await deploy(api, {"cron": "0 * * * *"})
    path = f"/deployments/{deployment['id']}/schedule"
    body = {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-01T05:00:00Z",
            "min_runs": 5}  # fmt: skip
    assert await api.post(path, body) is None
    assert len(await runs(api)) == 5
    await api.post(path, body)
    assert len(await runs(api)) == 5


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Atlantis"}, "timezone"),
        ({"interval": 0}, "interval"),
        ({"interval": -5}, "interval"),
        ({"rrule": "FREQ=NEVER"}, "rrule"),
        ({"cron": "0 9 * * *", "often": True}, "often"),
        ({}, "schedule"),
    ],
)
async def test_a_schedule_that_cannot_be_read_is_a_422_that_names_the_field(
    api: Api, schedule: Json, field: str
) -> None:
    deployment = await deploy(api)
    path = f"/deployments/{deployment['id']}/schedules"
    answer = await api.call("POST", path, [{"schedule": schedule}])
    assert answer.status_code == 422, answer.text
    assert field in answer.text


async def test_asked_for_no_runs_a_schedule_makes_one(api: Api) -> None:
    deployment = await deploy(api, {"cron": "0 9 * * *"})
    body = {"start_time": "2030-01-01T00:00:00Z", "max_runs": 0}
    await api.post(f"/deployments/{deployment['id']}/schedule", body)
    assert [r["expected_start_time"] for r in await runs(api)] == ["2030-01-01T09:00:00Z"]
