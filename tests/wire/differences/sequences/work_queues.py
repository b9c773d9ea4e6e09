"""Work queues by id, as old clients know them."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow, make_pool


@sequence
def queues_without_a_pool(pair: Pair) -> None:
    """Queues of the pool that is there when none is named."""
    made = pair.post("/work_queues/", {"name": "old"})
    for body in (
        {"name": "old"},
        {"name": "default"},
        {"name": "limited", "concurrency_limit": 1, "is_paused": True, "priority": 1},
        {"name": "filtered", "filter": {"tags": ["a"], "deployment_ids": [NOWHERE]}},
        {"name": ""},
        {"name": "bad", "priority": 0},
        {"name": "bad", "concurrency_limit": -1},
        {},
        {"name": "x", "no_such_field": 1},
    ):
        pair.post("/work_queues/", body)
    pair.get("/work_queues/{id}", id=made["id"])
    pair.get("/work_queues/name/{name}", name="old")
    pair.get("/work_queues/name/{name}", name="nobody")
    for body in (
        {"description": "d"},
        {"is_paused": True},
        {"is_paused": False},
        {"concurrency_limit": 5},
        {"concurrency_limit": None},
        {"name": "renamed"},
        {"name": "default"},
        {"priority": 1},
        {"priority": 0},
        {"filter": {"tags": ["b"]}},
        {},
        {"no_such_field": 1},
    ):
        pair.patch("/work_queues/{id}", body, id=made["id"])
        pair.get("/work_queues/{id}", id=made["id"])
    for body in (
        {},
        {"limit": 1},
        {"offset": 1},
        {"work_queues": {"name": {"any_": ["renamed"]}}},
        {"work_queues": {"name": {"startswith_": ["lim"]}}},
        {"work_queues": {"id": {"any_": [made["id"]]}}},
    ):
        pair.post("/work_queues/filter", body)
    pair.get("/work_queues/{id}/status", id=made["id"])
    pair.post("/work_queues/{id}/concurrency_status", {}, id=made["id"])
    pair.get("/work_pools/{name}", name="default-agent-pool")
    pair.delete("/work_queues/{id}", id=made["id"])
    pair.delete("/work_queues/{id}", id=made["id"])
    pair.get("/work_queues/{id}", id=made["id"])


@sequence
def runs_of_a_queue(pair: Pair) -> None:
    """The poll of old agents."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow, work_queue_name="old")
    pair.get("/deployments/{id}", id=deployment["id"])
    for minute in (1, 2, 3):
        state = {
            "type": "SCHEDULED",
            "state_details": {"scheduled_time": f"2026-01-01T00:0{minute}:00Z"},
        }
        pair.post(
            "/deployments/{id}/create_flow_run",
            {"state": state, "name": f"n{minute}"},
            id=deployment["id"],
        )
    queue = pair.get("/work_queues/name/{name}", name="old")
    runs = "/work_queues/{id}/get_runs"
    for body in (
        {},
        {"limit": 2},
        {"limit": 0},
        {"scheduled_before": "2026-01-01T00:02:30Z"},
        {"agent_id": NOWHERE},
        {"scheduled_before": "x"},
    ):
        pair.post(runs, body, id=queue["id"])
    pair.get("/work_queues/{id}", id=queue["id"])
    pair.get("/work_queues/{id}/status", id=queue["id"])
    for change in ({"concurrency_limit": 1}, {"concurrency_limit": 0}, {"is_paused": True}):
        pair.patch("/work_queues/{id}", change, id=queue["id"])
        pair.post(runs, {}, id=queue["id"])
        pair.post("/work_queues/{id}/concurrency_status", {}, id=queue["id"])
    pair.get("/deployments/{id}/work_queue_check", id=deployment["id"])
    make_pool(pair)
    pair.post("/work_queues/filter", {})
