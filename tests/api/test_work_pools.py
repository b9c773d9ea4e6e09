"""Work pools, their queues and workers over HTTP: names, order, limits, statuses, deletion."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from penstock.server.app import Server
from penstock.services.worker_status import watch_workers
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
}


async def make_pool(api: Api, name: str = "pool", **fields: Any) -> Any:
    return await api.post("/work_pools/", {"name": name, "type": "process", **fields})


async def priorities(api: Api, pool: str = "pool") -> dict[str, int]:
    queues = await api.post(f"/work_pools/{pool}/queues/filter")
    return {q["name"]: q["priority"] for q in queues}


async def until_told(server: Server, *names: str) -> None:
    """Return once events of these names were told, in any order."""
    recent = server.state.streams.hub.events.recent
    with anyio.fail_after(5):
        # ASYNC110 wants an event, which the server would have to set for tests only.
        while not set(names) <= {e["event"] for e in recent}:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_pool_comes_with_a_default_queue(api: Api) -> None:
    pool = await make_pool(api, description="mine", base_job_template=TEMPLATE)
    assert pool == await api.get("/work_pools/pool")
    assert (pool["status"], pool["active_slots"], pool["is_paused"]) == ("NOT_READY", None, False)
    assert pool["base_job_template"] == TEMPLATE
    (queue,) = await api.post("/work_pools/pool/queues/filter")
    assert (queue["id"], queue["name"], queue["priority"]) == (
        pool["default_queue_id"],
        "default",
        1,
    )
    assert (queue["work_pool_name"], queue["status"]) == ("pool", "NOT_READY")
    assert queue == await api.get("/work_pools/pool/queues/default")
    assert queue == await api.get(f"/work_queues/{queue['id']}")


async def test_a_pool_of_agents_has_no_status(api: Api) -> None:
    assert (await api.post("/work_pools/", {"name": "old"}))["status"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Prefect-things"}, 403),
        ({"name": "taken"}, 409),
        ({"name": "a/b"}, 422),
        ({"name": "x", "base_job_template": {"variables": {}}}, 422),
        (
            {
                "name": "x",
                "base_job_template": {
                    "job_configuration": {"command": "{{ other }}"},
                    "variables": {},
                },
            },
            422,
        ),
        ({"name": "x", "concurrency_limit": -1}, 422),
        ({"name": "x", "unknown": 1}, 422),
    ],
)
async def test_a_pool_that_cannot_be_made_is_refused(api: Api, body: Any, status: int) -> None:
    await make_pool(api, "taken")
    assert (await api.call("POST", "/work_pools/", body)).status_code == status
    assert await api.post("/work_pools/count") == 1


async def test_pools_are_listed_by_name_and_filtered(api: Api) -> None:
    for name, type in (("b", "process"), ("a", "docker"), ("c", "process")):
        await make_pool(api, name, type=type)
    assert [p["name"] for p in await api.post("/work_pools/filter")] == ["a", "b", "c"]
    body = {"work_pools": {"type": {"any_": ["process"]}}, "offset": 1}
    assert [p["name"] for p in await api.post("/work_pools/filter", body)] == ["c"]
    assert await api.post("/work_pools/count", body) == 2


async def test_only_what_was_sent_of_a_pool_changes(api: Api) -> None:
    await make_pool(api, concurrency_limit=3, description="old")
    await api.patch("/work_pools/pool", {"description": "new"})
    pool = await api.get("/work_pools/pool")
    assert (pool["description"], pool["concurrency_limit"]) == ("new", 3)
    assert pool["active_slots"] == 0
    storage = {"bundle_upload_step": {"s": 1}}
    await api.patch(
        "/work_pools/pool", {"concurrency_limit": None, "storage_configuration": storage}
    )
    pool = await api.get("/work_pools/pool")
    assert (pool["concurrency_limit"], pool["active_slots"]) == (None, None)
    assert pool["storage_configuration"]["bundle_upload_step"] == {"s": 1}
    broken = {"base_job_template": {"variables": {}}}
    assert (await api.call("PATCH", "/work_pools/pool", broken)).status_code == 422
    assert (await api.call("PATCH", "/work_pools/other", {})).status_code == 404


async def test_a_paused_pool_is_ready_again_only_with_a_worker(api: Api) -> None:
    await make_pool(api)
    for expected in ("NOT_READY", "READY"):
        await api.patch("/work_pools/pool", {"is_paused": True})
        assert (await api.get("/work_pools/pool"))["status"] == "PAUSED"
        await api.patch("/work_pools/pool", {"is_paused": False})
        assert (await api.get("/work_pools/pool"))["status"] == expected
        await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})


async def test_a_new_template_holds_for_the_next_run(api: Api) -> None:
    await make_pool(api, base_job_template=TEMPLATE)
    deployment = await make_deployment(api)
    path = f"/deployments/{deployment}/create_flow_run"
    run = {"job_variables": {"command": 1}}
    assert (await api.call("POST", path, run)).status_code == 422
    await api.patch("/work_pools/pool", {"base_job_template": {}})
    assert (await api.call("POST", path, run)).status_code == 201


async def test_a_deleted_pool_leaves_its_deployments_and_runs_without_a_queue(api: Api) -> None:
    await make_pool(api)
    deployment = await make_deployment(api)
    run = await api.post(f"/deployments/{deployment}/create_flow_run")
    await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})
    await api.delete("/work_pools/pool")
    assert (await api.call("GET", "/work_pools/pool")).status_code == 404
    assert (await api.call("DELETE", "/work_pools/pool")).status_code == 404
    assert (await api.get(f"/deployments/{deployment}"))["work_pool_name"] is None
    read = await api.get(f"/flow_runs/{run['id']}")
    assert (read["work_queue_id"], read["work_pool_name"]) == (None, None)
    later = await api.post(f"/deployments/{deployment}/create_flow_run")
    assert later["work_queue_id"] is None


async def make_deployment(api: Api, **fields: Any) -> str:
    flow = await api.make_flow()
    body = {"name": "d", "flow_id": flow, "work_pool_name": "pool", **fields}
    return str((await api.post("/deployments/", body))["id"])


# ------------------------------------------------------------------ queues


async def test_a_queue_inserted_at_a_priority_pushes_others_down_to_the_next_gap(api: Api) -> None:
    await make_pool(api)
    for name, priority in (("two", 2), ("five", 5), ("three", None)):
        body = {"name": name, "priority": priority}
        await api.post("/work_pools/pool/queues", body)
    assert await priorities(api) == {"default": 1, "two": 2, "three": 3, "five": 5}
    await api.post("/work_pools/pool/queues", {"name": "first", "priority": 1})
    expected = {"first": 1, "default": 2, "two": 3, "three": 4, "five": 5}
    assert await priorities(api) == expected
    await api.patch("/work_pools/pool/queues/five", {"priority": 2})
    expected = {"first": 1, "five": 2, "default": 3, "two": 4, "three": 5}
    assert await priorities(api) == expected
    await api.delete("/work_pools/pool/queues/five")
    assert await priorities(api) == {"first": 1, "default": 2, "two": 3, "three": 4}


async def test_queues_are_refused_where_they_clash(api: Api) -> None:
    pool = await make_pool(api)
    queues = "/work_pools/pool/queues"
    await api.post(queues, {"name": "a"})
    assert (await api.call("POST", queues, {"name": "a"})).status_code == 409
    assert (await api.call("POST", queues, {"name": "b", "priority": 0})).status_code == 422
    assert (await api.call("POST", "/work_pools/x/queues", {"name": "b"})).status_code == 404
    assert (await api.call("PATCH", queues + "/a", {"name": "default"})).status_code == 409
    assert (await api.call("DELETE", queues + "/default")).status_code == 409
    default = f"/work_queues/{pool['default_queue_id']}"
    assert (await api.call("DELETE", default)).status_code == 409
    assert (await api.call("GET", queues + "/b")).status_code == 404
    unknown = "/work_queues/00000000-0000-0000-0000-000000000000"
    assert (await api.call("GET", unknown)).status_code == 404


async def test_a_paused_queue_is_ready_again_only_when_it_was_just_polled(api: Api) -> None:
    await make_pool(api)
    for expected in ("NOT_READY", "READY"):
        await api.patch("/work_pools/pool/queues/default", {"is_paused": True})
        queue = await api.get("/work_pools/pool/queues/default")
        assert (queue["is_paused"], queue["status"]) == (True, "PAUSED")
        await api.patch("/work_pools/pool/queues/default", {"is_paused": False})
        assert (await api.get("/work_pools/pool/queues/default"))["status"] == expected
        await api.post("/work_pools/pool/get_scheduled_flow_runs")


async def test_a_renamed_queue_keeps_its_runs_and_a_deleted_one_lets_them_go(api: Api) -> None:
    await make_pool(api)
    await api.post("/work_pools/pool/queues", {"name": "q", "concurrency_limit": 2})
    deployment = await make_deployment(api, work_queue_name="q")
    create = f"/deployments/{deployment}/create_flow_run"
    assert (await api.post(create))["work_queue_name"] == "q"
    await api.patch("/work_pools/pool/queues/q", {"name": "r", "description": "new"})
    assert (await api.post(create))["work_queue_name"] == "r"
    queue = await api.get("/work_pools/pool/queues/r")
    assert (queue["description"], queue["active_slots"]) == ("new", 0)
    await api.delete(f"/work_queues/{queue['id']}")
    assert (await api.post(create))["work_queue_name"] is None
    assert await api.post("/work_pools/pool/get_scheduled_flow_runs") == []


async def test_queues_named_without_a_pool_live_in_the_default_pool(api: Api) -> None:
    first = await api.call("POST", "/work_queues/", {"name": "default"})
    again = await api.call("POST", "/work_queues/", {"name": "default"})
    assert (first.status_code, again.status_code) == (201, 409)
    queue = await api.post("/work_queues/", {"name": "q", "filter": {"tags": ["t"]}})
    assert queue["work_pool_name"] == "default-agent-pool"
    assert queue["filter"] == {"tags": ["t"], "deployment_ids": None}
    assert queue == await api.get("/work_queues/name/q")
    body = {"work_queues": {"name": {"startswith_": ["q"]}}}
    assert await api.post("/work_queues/filter", body) == [queue]
    await api.patch(f"/work_queues/{queue['id']}", {"description": "new"})
    assert (await api.get("/work_queues/name/q"))["description"] == "new"
    assert (await api.call("GET", "/work_queues/name/other")).status_code == 404


# ------------------------------------------------------------------ workers and statuses


async def test_null_leaves_pages_and_limits_to_their_defaults(api: Api) -> None:
    await make_pool(api)
    body = {"limit": None, "offset": None, "page": None, "flow_run_limit": None}
    queue = (await api.post("/work_pools/pool/queues/filter", body))[0]["id"]
    assert await api.post(f"/work_queues/{queue}/get_runs", body) == []
    for place in ("work_pools/pool", f"work_queues/{queue}"):
        assert (await api.post(f"/{place}/concurrency_status", body))["page"] == 1


async def test_a_heartbeat_makes_a_worker_and_its_pool_ready(api: Api, server: Server) -> None:
    await make_pool(api)
    beat = {"name": "w", "heartbeat_interval_seconds": 5}
    heartbeat = "/work_pools/pool/workers/heartbeat"
    assert (await api.call("POST", heartbeat, beat)).status_code == 204
    await api.post(heartbeat, {"name": "v"})
    assert (await api.get("/work_pools/pool"))["status"] == "READY"
    workers = await api.post("/work_pools/pool/workers/filter")
    assert [(w["name"], w["status"], w["heartbeat_interval_seconds"]) for w in workers] == [
        ("v", "ONLINE", None),
        ("w", "ONLINE", 5),
    ]
    await api.delete("/work_pools/pool/workers/w")
    assert (await api.call("DELETE", "/work_pools/pool/workers/w")).status_code == 404
    assert len(await api.post("/work_pools/pool/workers/filter")) == 1
    assert (await api.call("POST", "/work_pools/x/workers/heartbeat", beat)).status_code == 404
    assert (await api.call("POST", heartbeat, {"name": ""})).status_code == 422


async def test_workers_are_filtered_by_status_and_heartbeat(api: Api) -> None:
    await make_pool(api)
    await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    async def found(**filter: Any) -> int:
        return len(await api.post("/work_pools/pool/workers/filter", {"workers": filter}))

    assert await found(status={"any_": ["ONLINE"]}) == 1
    assert await found(status={"any_": ["OFFLINE"]}) == 0
    assert await found(status={"not_any_": ["ONLINE"]}) == 0
    assert await found(status={"any_": ["OFFLINE", "ONLINE"]}) == 1
    assert await found(last_heartbeat_time={"before_": later}) == 1
    assert await found(last_heartbeat_time={"after_": later}) == 0
    both = {"last_heartbeat_time": {"after_": later}, "status": {"any_": ["ONLINE"]}}
    assert await found(operator="or_", **both) == 1
    assert await found(**both) == 0


async def test_what_nobody_serves_becomes_not_ready(api: Api, server: Server) -> None:
    assert server.database is not None
    await make_pool(api)
    deployment = await make_deployment(api)
    beat = {"name": "w", "heartbeat_interval_seconds": 10}
    await api.post("/work_pools/pool/workers/heartbeat", beat)
    await api.post("/work_pools/pool/get_scheduled_flow_runs")

    async def statuses() -> list[str]:
        paths = ("/work_pools/pool", "/work_pools/pool/queues/default")
        return [(await api.get(path))["status"] for path in paths]

    assert await statuses() == ["READY", "READY"]
    assert (await api.get(f"/deployments/{deployment}"))["status"] == "READY"
    now = datetime.now(UTC)
    # too young, pool without a worker, queue without a poll, nothing new
    for age, done, expected in (
        (29, 0, ["READY", "READY"]),
        (32, 1, ["NOT_READY", "READY"]),
        (62, 1, ["NOT_READY", "NOT_READY"]),
        (90, 0, ["NOT_READY", "NOT_READY"]),
    ):
        assert await watch_workers(server.database, now + timedelta(seconds=age)) == done
        assert await statuses() == expected
    subjects = ("work-pool", "work-queue", "deployment")
    await until_told(
        server, *(f"prefect.{s}.{w}" for s in subjects for w in ("ready", "not-ready"))
    )
    await api.post("/work_pools/pool/get_scheduled_flow_runs")
    assert (await statuses())[1] == "READY"
