"""Flows."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow, make_run


@sequence
def flows_made_and_changed(pair: Pair) -> None:
    """Create, replay, refuse, read, change, delete."""
    flow = pair.post("/flows/", {"name": "first", "tags": ["a", "b"], "labels": {"x": 1}})
    pair.post("/flows/", {"name": "first", "tags": ["c"], "labels": {"y": True}})
    for body in (
        {},
        {"name": ""},
        {"name": "a/b"},
        {"name": "50%"},
        {"name": "a&b"},
        {"name": "a>b"},
        {"name": "a<b"},
        {"name": " spaces and äöü "},
        {"name": "x" * 300},
        {"name": "n1", "tags": ["a", "a"]},
        {"name": "n2", "tags": [1]},
        {"name": "n3", "labels": {"nested": {"a": 1}}},
        {"name": "n4", "labels": {"list": [1]}},
        {"name": "n5", "labels": {"none": None}},
        {"name": "n6", "labels": None},
        {"name": "n7", "labels": {"s": "t", "i": 1, "f": 1.5, "b": False}},
    ):
        pair.post("/flows/", body)
    pair.get("/flows/{id}", id=flow["id"])
    pair.get("/flows/name/{name}", name="first")
    pair.get("/flows/name/{name}", name="nobody")
    pair.patch("/flows/{id}", {"tags": ["z"]}, id=flow["id"])
    pair.get("/flows/{id}", id=flow["id"])
    for body in ({}, {"tags": None}, {"tags": []}, {"labels": {"new": 1}}, {"name": "other"}):
        pair.patch("/flows/{id}", body, id=flow["id"])
        pair.get("/flows/{id}", id=flow["id"])
    pair.delete("/flows/{id}", id=flow["id"])
    pair.delete("/flows/{id}", id=flow["id"])
    pair.get("/flows/{id}", id=flow["id"])


@sequence
def flows_listed(pair: Pair) -> None:
    """Every condition of the flow filter, conditions on other resources, order, pages."""
    ids = {
        name: make_flow(pair, name, tags=tags)
        for name, tags in [
            ("alpha", ["one"]),
            ("beta", ["one", "two"]),
            ("gamma", []),
            ("delta", ["three"]),
            ("alphabet", ["two"]),
        ]
    }
    make_deployment(pair, ids["alpha"], "d1", tags=["prod"])
    make_deployment(pair, ids["beta"], "d2")
    make_run(pair, ids["alpha"], "RUNNING", name="run-one", tags=["x"])
    make_run(pair, ids["gamma"], "COMPLETED", name="run-two")
    conditions = (
        {"id": {"any_": [ids["alpha"], ids["gamma"]]}},
        {"id": {"any_": []}},
        {"id": {"any_": [NOWHERE]}},
        {"name": {"any_": ["alpha", "nobody"]}},
        {"name": {"like_": "alpha"}},
        {"name": {"like_": "ALPHA"}},
        {"name": {"like_": "a%a"}},
        {"name": {"like_": "_"}},
        {"tags": {"all_": ["one"]}},
        {"tags": {"all_": ["one", "two"]}},
        {"tags": {"all_": []}},
        {"tags": {"any_": ["one", "three"]}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"all_": ["one"], "is_null_": True}},
        {"tags": {"operator": "or_", "all_": ["three"], "is_null_": True}},
        {"deployment": {"is_null_": True}},
        {"deployment": {"is_null_": False}},
        {"operator": "or_", "name": {"any_": ["delta"]}, "tags": {"all_": ["two"]}},
        {"operator": "and_", "name": {"any_": ["beta"]}, "tags": {"all_": ["two"]}},
        {"operator": "nor_"},
        {"name": {}},
        {"name": None},
        {},
    )
    for flows in conditions:
        pair.post("/flows/filter", {"flows": flows, "sort": "NAME_ASC"})
        pair.post("/flows/count", {"flows": flows})
    for others in (
        {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
        {"flow_runs": {"name": {"like_": "two"}}},
        {"deployments": {"name": {"any_": ["d2"]}}},
        {"deployments": {"tags": {"all_": ["prod"]}}},
        {"task_runs": {"name": {"any_": ["nobody"]}}},
        {"work_pools": {"name": {"any_": ["nobody"]}}},
        {"flow_runs": {"name": {"like_": "one"}}, "deployments": {"name": {"any_": ["d1"]}}},
    ):
        pair.post("/flows/filter", {**others, "sort": "NAME_ASC"})
        pair.post("/flows/count", others)
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "NOTHING"):
        pair.post("/flows/filter", {"sort": sort})
    for page in (
        {"limit": 2},
        {"limit": 2, "offset": 2},
        {"offset": 4},
        {"offset": 100},
        {"offset": -1},
    ):
        pair.post("/flows/filter", {"sort": "NAME_ASC", **page})
    for page in (
        {},
        {"limit": 2},
        {"limit": 2, "page": 2},
        {"limit": 2, "page": 3},
        {"limit": 2, "page": 9},
        {"page": 0},
        {"limit": 0},
        {"limit": 3, "flows": {"tags": {"all_": ["one"]}}},
    ):
        pair.post("/flows/paginate", {"sort": "NAME_ASC", **page})
    all_ids = list(ids.values())
    pair.post("/ui/flows/count-deployments", {"flow_ids": all_ids})
    pair.post("/ui/flows/next-runs", {"flow_ids": all_ids})
    pair.post("/ui/flows/count-deployments", {"flow_ids": []})
    pair.post("/ui/flows/next-runs", {"flow_ids": [NOWHERE]})


@sequence
def flows_deleted_together(pair: Pair) -> None:
    """Bulk delete by conditions; what hung on the flows is gone."""
    one, two, three = (make_flow(pair, name) for name in ("one", "two", "three"))
    run = make_run(pair, one)
    deployment = make_deployment(pair, one)
    pair.post("/flows/bulk_delete", {"flows": {"id": {"any_": [NOWHERE]}}})
    pair.post("/flows/bulk_delete", {"flows": {"id": {"any_": [one]}}})
    pair.get("/flow_runs/{id}", id=run["id"])
    pair.get("/deployments/{id}", id=deployment["id"])
    pair.post("/flows/bulk_delete", {"flows": {"id": {"any_": [two, three]}}, "limit": 1})
    pair.post("/flows/count", {})
    pair.post("/flows/bulk_delete", {"limit": 0})
    pair.post("/flows/bulk_delete", {"limit": 51})
    pair.post("/flows/bulk_delete", {})
