"""Artifacts and the newest of each key."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_flow, make_run, set_state


@sequence
def artifacts(pair: Pair) -> None:
    """Made, read, listed, changed; the newest of a key; deleting it brings the one before."""
    flow = make_flow(pair)
    run = make_run(pair, flow, "RUNNING", name="run")
    made = [
        pair.post("/artifacts/", body)
        for body in (
            {"key": "k", "type": "markdown", "data": "# one", "description": "d"},
            {"key": "k", "type": "markdown", "data": "# two", "flow_run_id": run["id"]},
            {"key": "other", "type": "table", "data": [{"a": 1}]},
            {"type": "link", "data": {"x": 1}, "metadata_": {"m": "n"}},
            {"key": "whole", "data": 1},
            {"key": "none"},
            {},
        )
    ]
    for body in (
        {"key": "Bad Key", "data": 1},
        {"key": "", "data": 1},
        {"key": "x", "flow_run_id": NOWHERE},
        {"key": "x", "task_run_id": NOWHERE},
        {"key": "x", "metadata_": {"a": 1}},
        {"key": "y", "no_such_field": 1},
    ):
        pair.post("/artifacts/", body)
    for artifact in made:
        pair.get("/artifacts/{id}", id=artifact["id"])
    for key in ("k", "other", "nothing"):
        pair.get("/artifacts/{key}/latest", key=key)
    conditions = (
        {},
        {"id": {"any_": [made[0]["id"]]}},
        {"key": {"any_": ["k"]}},
        {"key": {"like_": "O"}},
        {"key": {"exists_": True}},
        {"key": {"exists_": False}},
        {"type": {"any_": ["markdown"]}},
        {"type": {"not_any_": ["markdown"]}},
        {"flow_run_id": {"any_": [run["id"]]}},
        {"task_run_id": {"any_": [NOWHERE]}},
        {"operator": "or_", "key": {"any_": ["other"]}, "type": {"any_": ["link"]}},
    )
    for condition in conditions:
        pair.post("/artifacts/filter", {"artifacts": condition, "sort": "CREATED_DESC"})
        pair.post("/artifacts/count", {"artifacts": condition})
    for condition in (
        {},
        {"latest_id": {"any_": [made[1]["id"]]}},
        {"key": {"any_": ["k"]}},
        {"key": {"like_": "O"}},
        {"key": {"exists_": True}},
        {"type": {"not_any_": ["markdown"]}},
        {"flow_run_id": {"any_": [run["id"]]}},
    ):
        pair.post("/artifacts/latest/filter", {"artifacts": condition, "sort": "KEY_ASC"})
        pair.post("/artifacts/latest/count", {"artifacts": condition})
    for others in (
        {"flow_runs": {"name": {"any_": ["run"]}}},
        {"flows": {"name": {"any_": ["a-flow"]}}},
        {"task_runs": {"name": {"any_": ["nobody"]}}},
        {"deployments": {"name": {"any_": ["nobody"]}}},
    ):
        pair.post("/artifacts/filter", others)
        pair.post("/artifacts/count", others)
        pair.post("/artifacts/latest/filter", others)
        pair.post("/artifacts/latest/count", others)
    for extra in ({"sort": "KEY_DESC"}, {"sort": "KEY_ASC"}, {"sort": "NOTHING"}, {"limit": 2}):
        keyed = {"artifacts": {"key": {"any_": ["k", "other"]}}}
        pair.post("/artifacts/filter", {**keyed, "sort": "CREATED_DESC", **extra})
        pair.post("/artifacts/latest/filter", {**keyed, **extra})
    newest = made[1]["id"]
    for body in ({"data": "# three"}, {"description": "new"}, {"metadata_": {"q": "r"}}, {}):
        pair.patch("/artifacts/{id}", body, id=newest)
        pair.get("/artifacts/{id}", id=newest)
        pair.get("/artifacts/{key}/latest", key="k")
    pair.delete("/artifacts/{id}", id=newest)
    pair.delete("/artifacts/{id}", id=newest)
    pair.get("/artifacts/{key}/latest", key="k")
    pair.delete("/artifacts/{id}", id=made[0]["id"])
    pair.get("/artifacts/{key}/latest", key="k")
    set_state(pair, run, {"type": "COMPLETED", "data": {"type": "result", "v": 1}})
    pair.post("/artifacts/filter", {"artifacts": {"type": {"any_": ["result"]}}})
