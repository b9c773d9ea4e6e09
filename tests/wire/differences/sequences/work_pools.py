"""Work pools, their queues and workers, and the runs that workers are given."""

from datetime import UTC, datetime, timedelta

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import (
    make_deployment,
    make_flow,
    make_pool,
    set_state,
)

QUEUES = "/work_pools/{work_pool_name}/queues"
QUEUE = "/work_pools/{work_pool_name}/queues/{name}"


@sequence
def pools_made_and_changed(pair: Pair) -> None:
    """Every field of the body; names; templates; PATCH; delete."""
    make_pool(pair)
    make_pool(pair)
    template = {
        "job_configuration": {"a": "{{ a }}"},
        "variables": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}},
    }
    for i, fields in enumerate(
        (
            {"description": "d"},
            {"type": "docker"},
            {"type": "prefect-agent"},
            {"type": None},
            {"is_paused": True},
            {"concurrency_limit": 3},
            {"concurrency_limit": 0},
            {"concurrency_limit": -1},
            {"base_job_template": {}},
            {"base_job_template": template},
            {"base_job_template": {"job_configuration": {}}},
            {"base_job_template": {"variables": {}}},
            {"base_job_template": {**template, "job_configuration": {"a": "{{ b }}"}}},
            {
                "base_job_template": {
                    "job_configuration": {},
                    "variables": {"properties": {"a": {"type": "string", "default": 1}}},
                }
            },
            {"name": "Prefect-mine"},
            {"name": "prefect"},
            {"name": ""},
            {"name": "a/b"},
            {"name": "a b"},
            {"name": None},
            {"storage_configuration": {}},
            {"storage_configuration": {"bundle_upload_step": {"a": {}}}},
            {"no_such_field": 1},
        )
    ):
        made = make_pool(pair, **{"name": f"p{i}", **fields})
        pair.get("/work_pools/{name}", name=made["name"])
    for body in (
        {"description": "after"},
        {"description": None},
        {"is_paused": True},
        {"is_paused": False},
        {"is_paused": None},
        {"concurrency_limit": 7},
        {"concurrency_limit": None},
        {"concurrency_limit": -1},
        {"base_job_template": template},
        {"base_job_template": {"job_configuration": {}}},
        {"base_job_template": {}},
        {"base_job_template": None},
        {"storage_configuration": {}},
        {"type": "docker"},
        {"name": "other"},
        {},
    ):
        pair.patch("/work_pools/{name}", body, name="a-pool")
        pair.get("/work_pools/{name}", name="a-pool")
    pair.post("/work_pools/filter", {})
    pair.delete("/work_pools/{name}", name="a-pool")
    pair.delete("/work_pools/{name}", name="a-pool")
    pair.get("/work_pools/{name}", name="a-pool")


@sequence
def pools_with_more_in_their_template(pair: Pair) -> None:
    """A template may have keys that nobody knows."""
    make_pool(pair, base_job_template={"job_configuration": {}, "variables": {}, "more": 1})


@sequence
def pools_listed(pair: Pair) -> None:
    """Conditions, pages, counts."""
    ids = {
        name: make_pool(pair, name, type=kind)["id"]
        for name, kind in (("one", "process"), ("two", "docker"), ("three", "process"))
    }
    for work_pools in (
        {},
        {"id": {"any_": [ids["two"]]}},
        {"name": {"any_": ["one", "nobody"]}},
        {"type": {"any_": ["process"]}},
        {"operator": "or_", "name": {"any_": ["one"]}, "type": {"any_": ["docker"]}},
        {"name": {"like_": "o"}},
    ):
        pair.post("/work_pools/filter", {"work_pools": work_pools})
        pair.post("/work_pools/count", {"work_pools": work_pools})
    for page in ({"limit": 1}, {"limit": 1, "offset": 1}, {"offset": 9}):
        pair.post("/work_pools/filter", page)


@sequence
def queues_and_priorities(pair: Pair) -> None:
    """Queues inserted, moved and deleted; the priorities of the others."""
    make_pool(pair)
    pool = {"work_pool_name": "a-pool"}
    for body in (
        {"name": "q1"},
        {"name": "q2"},
        {"name": "top", "priority": 1},
        {"name": "far", "priority": 10},
        {"name": "middle", "priority": 2},
        {"name": "last"},
        {"name": "q1"},
        {"name": "zero", "priority": 0},
        {"name": "limited", "concurrency_limit": 2, "is_paused": True, "description": "d"},
        {"name": "negative", "concurrency_limit": -1},
        {"name": ""},
        {"name": "a/b"},
        {"name": "filtered", "filter": {"tags": ["a"]}},
        {},
    ):
        pair.post(QUEUES, body, **pool)
        pair.post(QUEUES + "/filter", {}, **pool)
    pair.post(QUEUES, {"name": "x"}, work_pool_name="nobody")
    for name, body in (
        ("q2", {"priority": 1}),
        ("q2", {"priority": 100}),
        ("top", {"priority": 3}),
        ("top", {"name": "renamed"}),
        ("renamed", {"name": "q1"}),
        ("q1", {"is_paused": True}),
        ("q1", {"is_paused": False}),
        ("q1", {"concurrency_limit": 0}),
        ("q1", {"concurrency_limit": None}),
        ("q1", {"description": None}),
        ("q1", {"priority": 0}),
        ("q1", {"last_polled": "2026-01-01T00:00:00Z"}),
        ("q1", {}),
        ("default", {"name": "other"}),
        ("nobody", {"priority": 1}),
    ):
        pair.patch(QUEUE, body, name=name, **pool)
        pair.post(QUEUES + "/filter", {}, **pool)
    for name in ("q1", "default", "nobody", "far"):
        pair.get(QUEUE, name=name, **pool)
        pair.delete(QUEUE, name=name, **pool)
        pair.post(QUEUES + "/filter", {}, **pool)
    for body in (
        {"limit": 2},
        {"limit": 2, "offset": 1},
        {"work_queues": {"name": {"any_": ["q2"]}}},
        {"work_queues": {"name": {"startswith_": ["re"]}}},
        {"work_queues": {"id": {"any_": [NOWHERE]}}},
        {"work_queues": {"operator": "or_", "name": {"any_": ["q2"], "startswith_": ["la"]}}},
    ):
        pair.post(QUEUES + "/filter", body, **pool)


@sequence
def workers(pair: Pair) -> None:
    """Heartbeats and the lists of workers; what they do to the pool."""
    make_pool(pair)
    pool = {"work_pool_name": "a-pool"}
    beat = "/work_pools/{work_pool_name}/workers/heartbeat"
    listed = "/work_pools/{work_pool_name}/workers/filter"
    for body in (
        {"name": "w1"},
        {"name": "w2", "heartbeat_interval_seconds": 30},
        {"name": "w1", "heartbeat_interval_seconds": 5},
        {"name": "w/3"},
        {"name": "w5", "heartbeat_interval_seconds": 1.5},
        {},
    ):
        pair.post(beat, body, **pool)
    pair.post(beat, {"name": "w"}, work_pool_name="nobody")
    pair.get("/work_pools/{name}", name="a-pool")
    for body in (
        {},
        {"limit": 1},
        {"limit": 1, "offset": 1},
        {"workers": {"status": {"any_": ["ONLINE"]}}},
        {"workers": {"status": {"any_": ["OFFLINE"]}}},
        {"workers": {"status": {"not_any_": ["ONLINE"]}}},
        {"workers": {"status": {"any_": ["ASLEEP"]}}},
        {"workers": {"last_heartbeat_time": {"after_": "2026-01-01T00:00:00Z"}}},
        {"workers": {"last_heartbeat_time": {"before_": "2026-01-01T00:00:00Z"}}},
        {"workers": {"operator": "or_", "status": {"any_": ["OFFLINE"]}}},
    ):
        pair.post(listed, body, **pool)
    pair.patch("/work_pools/{name}", {"is_paused": True}, name="a-pool")
    pair.post(beat, {"name": "w1"}, **pool)
    pair.get("/work_pools/{name}", name="a-pool")
    pair.patch("/work_pools/{name}", {"is_paused": False}, name="a-pool")
    pair.get("/work_pools/{name}", name="a-pool")
    worker = "/work_pools/{work_pool_name}/workers/{name}"
    pair.delete(worker, name="w1", **pool)
    pair.delete(worker, name="w1", **pool)
    pair.delete(worker, name="w1", work_pool_name="nobody")
    pair.post(listed, {}, **pool)
    pair.post(beat, {"name": ""}, **pool)
    pair.post(beat, {"name": "w4", "heartbeat_interval_seconds": -1}, **pool)


def _time(minutes: float) -> str:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=minutes)
    return moment.isoformat().replace("+00:00", "Z")


@sequence
def polls(pair: Pair) -> None:
    """Which runs a poll gives, in which order, under limits and pauses."""
    flow = make_flow(pair)
    make_pool(pair)
    pool = {"work_pool_name": "a-pool"}
    for name in ("low", "high"):
        pair.post(QUEUES, {"name": name, "priority": 1 if name == "high" else 5}, **pool)
    deployments = {
        name: make_deployment(pair, flow, name, work_pool_name="a-pool", work_queue_name=name)
        for name in ("low", "default", "high")
    }
    runs = {}
    for name, deployment in deployments.items():
        for minutes in (-30, -60, 5, 60):
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": _time(minutes)}}
            runs[name, minutes] = pair.post(
                "/deployments/{id}/create_flow_run",
                {"name": f"{name}{minutes}", "state": state},
                id=deployment["id"],
            )
    poll = "/work_pools/{name}/get_scheduled_flow_runs"

    def every_poll() -> None:
        for body in (
            {},
            {"scheduled_before": _time(0)},
            {"scheduled_before": _time(10)},
            {"scheduled_before": _time(100), "scheduled_after": _time(-45)},
            {"work_queue_names": ["low"]},
            {"work_queue_names": ["low", "high"]},
            {"work_queue_names": []},
            {"work_queue_names": ["nobody"]},
            {"limit": 2},
            {"limit": 0},
        ):
            pair.post(poll, body, name="a-pool")

    every_poll()
    for name in ("a-pool",):
        pair.get("/work_pools/{name}", name=name)
    pair.post(QUEUES + "/filter", {}, **pool)
    for deployment in deployments.values():
        pair.get("/deployments/{id}", id=deployment["id"])
    pair.patch(QUEUE, {"concurrency_limit": 2}, name="low", **pool)
    every_poll()
    set_state(pair, runs["low", -30], "PENDING")
    every_poll()
    set_state(pair, runs["low", -60], "RUNNING")
    every_poll()
    pair.post("/work_pools/{name}/concurrency_status", {}, name="a-pool")
    pair.patch("/work_pools/{name}", {"concurrency_limit": 3}, name="a-pool")
    every_poll()
    pair.post("/work_pools/{name}/concurrency_status", {}, name="a-pool")
    pair.get("/work_pools/{name}", name="a-pool")
    pair.patch(QUEUE, {"is_paused": True}, name="high", **pool)
    every_poll()
    set_state(pair, runs["low", -30], "CANCELLING")
    every_poll()
    pair.patch(QUEUE, {"concurrency_limit": 0}, name="default", **pool)
    every_poll()
    pair.patch("/work_pools/{name}", {"is_paused": True}, name="a-pool")
    every_poll()
    for body in (
        {"limit": 1},
        {"page": 2, "limit": 1},
        {"flow_run_limit": 1},
        {"flow_run_limit": 0},
    ):
        pair.post("/work_pools/{name}/concurrency_status", body, name="a-pool")
    for name in ("low", "default", "high"):
        queue = pair.get(QUEUE, name=name, **pool)
        pair.post("/work_queues/{id}/concurrency_status", {}, id=queue["id"])
        pair.get("/work_queues/{id}/status", id=queue["id"])
