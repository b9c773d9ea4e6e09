"""Polls: who gets which runs in what order, and waiting until one is due."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from penstock.server.app import Server
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

POLL = "/work_pools/pool/get_scheduled_flow_runs"


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def make_pool(api: Api, *queues: str, **fields: Any) -> str:
    """The id of a deployment on the default queue of a new pool."""
    await api.post("/work_pools/", {"name": "pool", "type": "process", **fields})
    for name in queues:
        await api.post("/work_pools/pool/queues", {"name": name})
    flow = await api.make_flow()
    body = {"name": "d", "flow_id": flow, "work_pool_name": "pool"}
    return str((await api.post("/deployments/", body))["id"])


async def make_run(
    api: Api, deployment: str, name: str, due_in: float = -60, queue: str | None = None
) -> Any:
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at(due_in)}}
    body = {"name": name, "state": state, "work_queue_name": queue}
    return await api.post(f"/deployments/{deployment}/create_flow_run", body)


async def set_state(api: Api, run: Any, type: str, **state: Any) -> None:
    answer = await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": type, **state}})
    assert answer["status"] == "ACCEPT"


async def names(api: Api, **body: Any) -> list[str]:
    body.setdefault("scheduled_before", at(0))
    return [r["flow_run"]["name"] for r in await api.post(POLL, body)]


async def test_a_poll_gives_due_runs_by_priority_then_time(api: Api) -> None:
    deployment = await make_pool(api, "low")
    await make_run(api, deployment, "low", -300, "low")
    await make_run(api, deployment, "newer", -60)
    await make_run(api, deployment, "older", -120)
    await make_run(api, deployment, "future", 3600)
    assert await names(api) == ["older", "newer", "low"]
    assert await names(api, limit=2) == ["older", "newer"]
    assert await names(api, limit=0) == []
    assert await names(api, work_queue_names=["low"]) == ["low"]
    assert await names(api, scheduled_after=at(-90)) == ["newer"]
    assert await names(api, scheduled_before=at(7200)) == ["older", "newer", "future", "low"]
    unknown = await api.call("POST", POLL, {"work_queue_names": ["x"]})
    assert unknown.status_code == 404
    no_pool = await api.call("POST", "/work_pools/x/get_scheduled_flow_runs", {})
    assert no_pool.status_code == 404


async def test_a_polled_run_has_no_state_but_says_which_it_is_in(api: Api) -> None:
    deployment = await make_pool(api)
    run = await make_run(api, deployment, "a")
    (entry,) = await api.post(POLL)
    assert entry["work_queue_id"] == run["work_queue_id"]
    assert entry["work_pool_id"] == run["work_pool_id"]
    polled = entry["flow_run"]
    assert (polled["state"], polled["state_type"]) == (None, "SCHEDULED")
    assert not {"work_pool_id", "work_pool_name"} & polled.keys()
    kept = {k: v for k, v in run.items() if k in polled and k != "state"}
    del kept["estimated_start_time_delta"], polled["estimated_start_time_delta"]
    assert {k: polled[k] for k in kept if k in polled} == {k: kept[k] for k in kept if k in polled}


async def test_a_taken_run_is_polled_no_more(api: Api) -> None:
    deployment = await make_pool(api)
    run = await make_run(api, deployment, "a")
    await set_state(api, run, "PENDING")
    assert await names(api) == []


async def test_limits_and_pauses_hold_runs_back(api: Api) -> None:
    deployment = await make_pool(api, "q")
    runs = {}
    for name, queue in (("a", None), ("b", None), ("c", "q"), ("d", "q")):
        runs[name] = await make_run(api, deployment, name, queue=queue)
    await api.patch("/work_pools/pool/queues/q", {"concurrency_limit": 1})
    assert await names(api) == ["a", "b", "c"]
    await set_state(api, runs["c"], "PENDING")
    assert await names(api) == ["a", "b"]
    assert (await api.get("/work_pools/pool/queues/q"))["active_slots"] == 1
    await api.patch("/work_pools/pool", {"concurrency_limit": 2})
    assert (await api.get("/work_pools/pool"))["active_slots"] == 1
    assert await names(api) == ["a"]
    await set_state(api, runs["c"], "CANCELLING")
    assert await names(api) == ["a", "b"]
    await api.patch("/work_pools/pool/queues/default", {"is_paused": True})
    assert await names(api) == ["d"]
    await api.patch("/work_pools/pool", {"is_paused": True})
    assert await names(api) == []


async def test_who_holds_slots_can_be_read(api: Api) -> None:
    deployment = await make_pool(api, "q", concurrency_limit=5)
    run = await make_run(api, deployment, "a")
    await set_state(api, run, "PENDING")
    await set_state(api, run, "RUNNING")
    status = await api.post("/work_pools/pool/concurrency_status")
    assert (status["active_slots"], status["concurrency_limit"]) == (1, 5)
    assert (status["count"], status["pages"], status["page"]) == (2, 1, 1)
    default, q = status["queues"]
    assert (default["queue_name"], default["active_slots"], q["flow_runs"]) == ("default", 1, [])
    (holder,) = default["flow_runs"]
    assert (holder["id"], holder["state_type"]) == (run["id"], "RUNNING")
    assert holder["time_in_current_state"] >= 0
    of_queue = await api.post(f"/work_queues/{default['queue_id']}/concurrency_status")
    assert (of_queue["count"], of_queue["flow_runs"][0]["id"]) == (1, run["id"])


async def test_a_poll_is_noted_on_queue_and_deployment(api: Api, server: Server) -> None:
    deployment = await make_pool(api)
    await api.post(POLL)
    queue = await api.get("/work_pools/pool/queues/default")
    assert (queue["status"], queue["last_polled"] is not None) == ("READY", True)
    read = await api.get(f"/deployments/{deployment}")
    assert (read["status"], read["last_polled"]) == ("READY", queue["last_polled"])
    await api.post(POLL)  # noted already
    assert await api.get("/work_pools/pool/queues/default") == queue


async def test_a_queue_polled_by_its_id(api: Api) -> None:
    deployment = await make_pool(api)
    run = await make_run(api, deployment, "a", -60)
    path = f"/work_queues/{run['work_queue_id']}"
    runs = await api.call("POST", path + "/get_runs", {}, headers={"x-prefect-ui": "true"})
    assert [r["state"]["name"] for r in runs.json()] == ["Scheduled"]
    status = await api.get(path + "/status")
    assert (status["healthy"], status["last_polled"]) == (False, None)
    await api.post(path + "/get_runs", {"scheduled_before": at(0), "limit": 5})
    status = await api.get(path + "/status")
    assert (status["healthy"], status["late_runs_count"]) == (True, 0)
    await api.patch(path, {"is_paused": True})
    assert await api.post(path + "/get_runs") == []


# ------------------------------------------------------------------ waiting


def waiting_poll(api: Api, seconds: int = 15, **body: Any) -> "asyncio.Task[Any]":
    headers = {"Prefer": f"wait={seconds}"}
    return asyncio.create_task(api.call("POST", POLL, body, headers=headers))


async def until_waiting(server: Server, polls: int = 1) -> None:
    """Return once so many polls wait."""
    lines = server.state.streams.hub.due._waiters
    with anyio.fail_after(5):
        # ASYNC110 wants an event, which the server would have to set for tests only.
        while sum(len(line) for line in lines.values()) < polls:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    await anyio.sleep(0.05)  # until they have looked


async def test_a_waiting_poll_answers_at_once_when_a_run_is_due(api: Api) -> None:
    deployment = await make_pool(api)
    await make_run(api, deployment, "a")
    answer = await waiting_poll(api)
    assert answer.headers["preference-applied"] == "wait=15"
    assert len(answer.json()) == 1


async def test_a_waiting_poll_ends_when_a_run_is_made(api: Api, server: Server) -> None:
    deployment = await make_pool(api)
    poll = waiting_poll(api)
    await until_waiting(server)
    await make_run(api, deployment, "a")
    answer = await asyncio.wait_for(poll, 5)
    assert [r["flow_run"]["name"] for r in answer.json()] == ["a"]


async def test_a_waiting_poll_ends_when_a_run_becomes_due(api: Api) -> None:
    deployment = await make_pool(api)
    await make_run(api, deployment, "a", 0.5)
    answer = await asyncio.wait_for(waiting_poll(api, scheduled_before=at(0)), 5)
    assert len(answer.json()) == 1


async def test_a_waiting_poll_without_runs_ends_empty(api: Api) -> None:
    await make_pool(api)
    answer = await asyncio.wait_for(waiting_poll(api, 1), 5)
    assert (answer.json(), answer.headers["preference-applied"]) == ([], "wait=1")


async def test_one_run_wakes_one_of_two(api: Api, server: Server) -> None:
    deployment = await make_pool(api)
    first = waiting_poll(api, 2)
    await until_waiting(server)
    second = waiting_poll(api, 2)
    await until_waiting(server, 2)
    run = await make_run(api, deployment, "a")
    assert len((await asyncio.wait_for(first, 5)).json()) == 1
    assert not second.done()
    await set_state(api, run, "PENDING")
    assert (await asyncio.wait_for(second, 5)).json() == []


async def test_a_client_that_has_gone_takes_no_wake_up_with_it(api: Api, server: Server) -> None:
    deployment = await make_pool(api)
    gone = waiting_poll(api)
    await until_waiting(server)
    stays = waiting_poll(api)
    await until_waiting(server, 2)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await make_run(api, deployment, "a")
    assert len((await asyncio.wait_for(stays, 5)).json()) == 1


async def test_a_slot_that_is_freed_ends_the_waiting(api: Api, server: Server) -> None:
    deployment = await make_pool(api, concurrency_limit=1)
    running = await make_run(api, deployment, "a")
    await set_state(api, running, "PENDING")
    await make_run(api, deployment, "b")
    poll = waiting_poll(api)
    await until_waiting(server)
    await set_state(api, running, "CANCELLED")
    answer = await asyncio.wait_for(poll, 4)
    assert [r["flow_run"]["name"] for r in answer.json()] == ["b"]


async def test_resuming_a_pool_ends_the_waiting(api: Api, server: Server) -> None:
    deployment = await make_pool(api, is_paused=True)
    await make_run(api, deployment, "a")
    poll = waiting_poll(api)
    await until_waiting(server)
    await api.patch("/work_pools/pool", {"is_paused": False})
    assert len((await asyncio.wait_for(poll, 4)).json()) == 1
