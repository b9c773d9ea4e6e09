"""Variables, saved searches."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow


@sequence
def variables(pair: Pair) -> None:
    """Names, values of every kind, by name and by id, lists."""
    first = pair.post("/variables/", {"name": "first", "value": "text", "tags": ["b", "a"]})
    for body in (
        {"name": "first", "value": 1},
        {"name": "whole", "value": 1},
        {"name": "part", "value": 1.5},
        {"name": "yes", "value": True},
        {"name": "nothing", "value": None},
        {"name": "list", "value": [1, {"a": None}]},
        {"name": "object", "value": {"b": 1, "a": [2]}},
        {"name": "under_score-1", "value": ""},
        {"name": "Upper", "value": 1},
        {"name": "with space", "value": 1},
        {"name": "", "value": 1},
        {"name": "x" * 256, "value": 1},
        {"name": "long", "value": "x" * 5001},
        {"name": "just-fits", "value": "x" * 4998},
        {"name": "doubled-tags", "value": 1, "tags": ["a", "a"]},
        {"name": "no-value"},
        {"value": 1},
        {"name": "x", "value": 1, "no_such_field": 1},
    ):
        pair.post("/variables/", body)
    pair.get("/variables/{id}", id=first["id"])
    for name in ("first", "list", "nobody"):
        pair.get("/variables/name/{name}", name=name)
    for body in (
        {"value": "new"},
        {"value": None},
        {"tags": ["c"]},
        {"tags": None},
        {"name": "renamed"},
        {"name": "whole"},
        {"name": "Bad Name"},
        {"name": None},
        {"value": "x" * 5001},
        {},
    ):
        pair.patch("/variables/{id}", body, id=first["id"])
        pair.get("/variables/{id}", id=first["id"])
    pair.patch("/variables/name/{name}", {"value": 2}, name="whole")
    pair.patch("/variables/name/{name}", {"value": 2}, name="nobody")
    pair.get("/variables/name/{name}", name="whole")
    for condition in (
        {},
        {"id": {"any_": [first["id"]]}},
        {"name": {"any_": ["whole", "part"]}},
        {"name": {"like_": "A"}},
        {"name": {"like_": "%"}},
        {"tags": {"all_": ["a"]}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"operator": "or_", "name": {"any_": ["whole"]}, "tags": {"all_": ["a"]}},
        {"value": {"any_": [1]}},
    ):
        pair.post("/variables/filter", {"variables": condition, "sort": "NAME_ASC"})
        pair.post("/variables/count", {"variables": condition})
    for extra in (
        {"sort": "NAME_DESC"},
        {"sort": "CREATED_DESC"},
        {"sort": "UPDATED_DESC"},
        {"sort": "NAME_ASC", "limit": 2, "offset": 1},
        {"sort": "NOTHING"},
    ):
        pair.post("/variables/filter", extra)
    deployment = make_deployment(pair, make_flow(pair))
    for name in ("list", "whole", "nobody"):
        kind = {"__prefect_kind": "workspace_variable", "variable_name": name}
        run = pair.post(
            "/deployments/{id}/create_flow_run", {"parameters": {"x": kind}}, id=deployment["id"]
        )
        pair.get("/flow_runs/{id}", id=run["id"])
    for _ in range(2):
        pair.delete("/variables/{id}", id=first["id"])
        pair.delete("/variables/name/{name}", name="whole")


@sequence
def saved_searches(pair: Pair) -> None:
    """Saved, saved again under the same name, listed, deleted."""
    condition = {
        "object": "flow_run",
        "property": "state",
        "type": "state",
        "operation": "is",
        "value": ["Failed", None, 1],
    }
    first = pair.put("/saved_searches/", {"name": "first", "filters": [condition]})
    pair.put("/saved_searches/", {"name": "first", "filters": []})
    for body in (
        {"name": "second"},
        {"name": ""},
        {},
        {"name": "x", "filters": [{"object": "flow_run"}]},
        {"name": "x", "filters": None},
        {"name": "x", "no_such_field": 1},
    ):
        pair.put("/saved_searches/", body)
    pair.get("/saved_searches/{id}", id=first["id"])
    for body in ({}, {"limit": 1}, {"limit": 1, "offset": 1}):
        pair.post("/saved_searches/filter", body)
    pair.delete("/saved_searches/{id}", id=first["id"])
    pair.delete("/saved_searches/{id}", id=first["id"])
    pair.get("/saved_searches/{id}", id=NOWHERE)
