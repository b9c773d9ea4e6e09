"""Deployments: upsert, patch, runs, lists, pausing."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow, make_pool, make_run

FAR = "2030-01-01T00:00:00Z"
SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "integer", "title": "x"},
        "y": {"type": "string", "default": "hello"},
        "z": {"type": "array", "items": {"type": "number"}},
        "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]},
    },
    "required": ["x"],
}


@sequence
def deployments_made(pair: Pair) -> None:
    """Every field of the body; upserts; what is refused."""
    flow = make_flow(pair, labels={"of": "flow"})
    pool = make_pool(pair)
    pair.post("/work_pools/{work_pool_name}/queues", {"name": "q"}, work_pool_name="a-pool")
    first = make_deployment(pair, flow)
    pair.get("/deployments/{id}", id=first["id"])
    for i, fields in enumerate(
        (
            {"version": "1", "description": "d", "path": "/p", "entrypoint": "a.py:f"},
            {"tags": ["b", "a", "b"], "labels": {"l": 1}},
            {"labels": {"l": {"n": 1}}},
            {"parameters": {"x": 1}, "parameter_openapi_schema": SCHEMA},
            {"parameters": {"x": "one"}, "parameter_openapi_schema": SCHEMA},
            {
                "parameters": {"x": "one"},
                "parameter_openapi_schema": SCHEMA,
                "enforce_parameter_schema": False,
            },
            {"parameters": {"unknown": 1}, "parameter_openapi_schema": SCHEMA},
            {"parameters": {}, "parameter_openapi_schema": SCHEMA},
            {"parameter_openapi_schema": {"type": "object", "properties": {"x": {"$ref": "#/x"}}}},
            {"parameter_openapi_schema": {"type": "nonsense"}},
            {"parameter_openapi_schema": None},
            {"paused": True},
            {"concurrency_limit": 3},
            {"concurrency_limit": 0},
            {"concurrency_limit": -1},
            {"concurrency_limit": None},
            {"concurrency_limit": 2, "concurrency_options": {"collision_strategy": "CANCEL_NEW"}},
            {"concurrency_limit": 2, "concurrency_options": {"collision_strategy": "WHATEVER"}},
            {"concurrency_limit": 2, "concurrency_options": {"grace_period_seconds": 30}},
            {
                "concurrency_limit": 2,
                "concurrency_options": {
                    "collision_strategy": "ENQUEUE",
                    "grace_period_seconds": 120,
                },
            },
            {"concurrency_limit": 2, "global_concurrency_limit_id": NOWHERE},
            {"global_concurrency_limit_id": NOWHERE},
            {"work_pool_name": pool["name"]},
            {"work_pool_name": pool["name"], "work_queue_name": "q"},
            {"work_pool_name": pool["name"], "work_queue_name": "made"},
            {"work_pool_name": "nobody"},
            {"work_queue_name": "legacy"},
            {"work_pool_name": pool["name"], "job_variables": {"a": 1}},
            {"pull_steps": [{"x": {"id": 1}}]},
            {"pull_steps": "x"},
            {"storage_document_id": NOWHERE},
            {"infrastructure_document_id": NOWHERE},
            {"version_info": {"type": "git", "version": "abc", "branch": "main"}},
            {"version_info": {"type": "git"}},
            {"schedules": [{"schedule": {"cron": "0 9 * * *"}, "slug": "s", "active": False}]},
            {"schedules": [{"schedule": {"cron": "x"}}]},
            {"schedule": {"cron": "0 9 * * *"}},
            {"name": ""},
            {"name": "a/b"},
            {"name": "a%b"},
            {"name": None},
            {"flow_id": NOWHERE},
            {"no_such_field": 1},
        )
    ):
        made = make_deployment(pair, flow, **{"name": f"d{i}", **fields})
        pair.get("/deployments/{id}", id=made["id"])
    make_deployment(pair, flow, "d0", version="2")
    make_deployment(pair, flow, "d0", tags=["new"])
    make_deployment(pair, flow, "d1", labels={"other": 2})
    make_deployment(pair, flow, "d1")
    pair.get(
        "/deployments/name/{flow_name}/{deployment_name}", flow_name="a-flow", deployment_name="d0"
    )
    pair.get(
        "/deployments/name/{flow_name}/{deployment_name}", flow_name="a-flow", deployment_name="no"
    )
    pair.get(
        "/deployments/name/{flow_name}/{deployment_name}", flow_name="no", deployment_name="d0"
    )
    pair.get("/flows/{id}", id=flow)
    make_deployment(pair, make_flow(pair, "other"), "d0")


@sequence
def deployments_patched(pair: Pair) -> None:
    """PATCH of each field, alone; null where it may be; what is refused."""
    flow = make_flow(pair)
    make_pool(pair)
    deployment = make_deployment(
        pair,
        flow,
        parameters={"x": 1},
        parameter_openapi_schema=SCHEMA,
        tags=["a"],
        work_pool_name="a-pool",
        description="before",
        version="1",
    )
    for body in (
        {},
        {"description": "after"},
        {"description": None},
        {"version": "2"},
        {"version": None},
        {"tags": ["b"]},
        {"tags": None},
        {"parameters": {"x": 2}},
        {"parameters": {"x": "two"}},
        {"parameters": {}},
        {"parameters": None},
        {"paused": True},
        {"paused": False},
        {"paused": None},
        {"entrypoint": "b.py:g", "path": "/q"},
        {"enforce_parameter_schema": False},
        {"parameters": {"x": "now fine"}},
        {"enforce_parameter_schema": True},
        {"parameter_openapi_schema": {"type": "object", "properties": {}}},
        {"parameter_openapi_schema": None},
        {"pull_steps": [{"a": {}}]},
        {"pull_steps": None},
        {"job_variables": {"k": "v"}},
        {"job_variables": None},
        {"work_queue_name": "made"},
        {"work_pool_name": "nobody"},
        {"work_pool_name": "a-pool", "work_queue_name": "default"},
        {"work_pool_name": None},
        {"work_queue_name": None},
        {"concurrency_limit": 5},
        {"concurrency_limit": 0},
        {"concurrency_limit": None},
        {"concurrency_options": {"collision_strategy": "CANCEL_NEW"}},
        {"concurrency_options": None},
        {"global_concurrency_limit_id": NOWHERE},
        {"version_info": {"type": "git", "version": "x"}},
        {"version_info": None},
        {"storage_document_id": None},
        {"infrastructure_document_id": NOWHERE},
        {"name": "renamed"},
        {"flow_id": NOWHERE},
        {"labels": {"a": 1}},
        {"schedules": []},
        {"schedules": None},
    ):
        pair.patch("/deployments/{id}", body, id=deployment["id"])
        pair.get("/deployments/{id}", id=deployment["id"])


@sequence
def deployments_run(pair: Pair) -> None:
    """Runs of a deployment: parameters merged, hydrated, checked; tags, labels, states, queues."""
    flow = make_flow(pair, labels={"of": "flow"})
    make_pool(pair)
    deployment = make_deployment(
        pair,
        flow,
        parameters={"x": 1, "y": "there"},
        parameter_openapi_schema=SCHEMA,
        tags=["d"],
        labels={"l": "deployment", "m": 1},
        work_pool_name="a-pool",
        version="7",
        job_variables={"env": {"A": "1"}},
    )
    path = "/deployments/{id}/create_flow_run"
    kinds = [
        {"__prefect_kind": "json", "value": "5"},
        {"__prefect_kind": "json", "value": "not json"},
        {"__prefect_kind": "json"},
        {"__prefect_kind": "json", "value": 6},
        {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"},
        {"__prefect_kind": "jinja", "template": "{{ nothing }}"},
        {"__prefect_kind": "jinja", "template": "{% broken"},
        {"__prefect_kind": "jinja"},
        {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ 3 }}"}},
        {"__prefect_kind": "none", "value": 8},
        {"__prefect_kind": "none", "value": {"__prefect_kind": "json", "value": "9"}},
        {"__prefect_kind": "other", "value": 10},
        {"__prefect_kind": "other"},
        {"__prefect_kind": None, "value": 11},
        {"__prefect_kind": "workspace_variable", "variable_name": "nobody"},
        {"__prefect_kind": "workspace_variable"},
    ]
    for body in (
        {},
        {"parameters": {"x": 2}},
        {"parameters": {"x": "two"}},
        {"parameters": {"x": None}},
        {"parameters": {"y": None}},
        {"parameters": {"z": [1, 2.5]}},
        {"parameters": {"z": ["a"]}},
        {"parameters": {"z": None}},
        {"parameters": {"pair": [1, "a"]}},
        {"parameters": {"pair": ["a", 1]}},
        {"parameters": {"unknown": 1}},
        {"parameters": {"x": {"$ref": {"block_document_id": NOWHERE}}}},
        {"parameters": {"x": "two"}, "enforce_parameter_schema": False},
        *({"parameters": {"x": kind}} for kind in kinds),
        *(
            {"parameters": {"y": {"deep": [kind]}}, "enforce_parameter_schema": False}
            for kind in kinds
        ),
        {"name": "given", "tags": ["r", "d"], "labels": {"l": "run"}, "context": {"c": 1}},
        {"name": ""},
        {"state": {"type": "PENDING"}},
        {"state": {"type": "COMPLETED", "name": "Done"}},
        {
            "state": {
                "type": "SCHEDULED",
                "state_details": {"scheduled_time": "2030-01-01T00:00:00Z"},
            }
        },
        {"work_queue_name": "default"},
        {"work_queue_name": "made-by-a-run"},
        {"work_queue_name": ""},
        {"job_variables": {"env": {"B": "2"}}},
        {"infrastructure_document_id": NOWHERE},
        {"parent_task_run_id": NOWHERE},
        {"empirical_policy": {"retries": 2}},
        {"no_such_field": 1},
    ):
        run = pair.post(path, body, id=deployment["id"])
        pair.get("/flow_runs/{id}", id=run["id"])
    pair.post(path, id=NOWHERE)
    bare = make_deployment(pair, flow, "bare")
    pair.post(path, {"work_queue_name": "x"}, id=bare["id"])
    pair.post(path, {"parameters": {"anything": [1]}}, id=bare["id"])
    pair.post("/deployments/{id}/pause_deployment", id=bare["id"])
    pair.post(path, id=bare["id"])
    bulk = "/deployments/{id}/create_flow_run/bulk"
    pair.post(bulk, [], id=deployment["id"])
    pair.post(bulk, [], id=NOWHERE)
    pair.post(bulk, [{}, {"parameters": {"x": "two"}}, {"name": "n"}], id=deployment["id"])
    pair.post(bulk, [{"idempotency_key": "k"}, {"idempotency_key": "k"}], id=deployment["id"])
    pair.post(bulk, [{"parameters": {"x": kinds[1]}}, {}], id=deployment["id"])
    pair.post(bulk, [{}] * 101, id=bare["id"])
    pair.post(bulk, [{"no_such_field": 1}], id=deployment["id"])
    pair.post("/flow_runs/count", {})


@sequence
def deployments_listed(pair: Pair) -> None:
    """Every condition, other resources, order, pages, bulk delete."""
    one, two = make_flow(pair, "one"), make_flow(pair, "two")
    make_pool(pair, "p")
    ids = {
        "a": make_deployment(pair, one, "a", tags=["x"], work_pool_name="p")["id"],
        "b": make_deployment(pair, one, "b", tags=["x", "y"], paused=True)["id"],
        "ab": make_deployment(pair, two, "ab", concurrency_limit=2)["id"],
        "c": make_deployment(pair, two, "c")["id"],
    }
    make_run(pair, one, "RUNNING", deployment_id=ids["a"], name="run")
    conditions = (
        {},
        {"id": {"any_": [ids["a"], ids["c"]]}},
        {"id": {"not_any_": [ids["a"], ids["c"]]}},
        {"id": {"any_": []}},
        {"name": {"any_": ["a"]}},
        {"name": {"like_": "A"}},
        {"flow_or_deployment_name": {"like_": "one"}},
        {"flow_or_deployment_name": {"like_": "b"}},
        {"flow_or_deployment_name": {"like_": "o/c"}},
        {"paused": {"eq_": True}},
        {"paused": {"eq_": False}},
        {"tags": {"all_": ["x"]}},
        {"tags": {"any_": ["y"]}},
        {"tags": {"is_null_": True}},
        {"work_queue_name": {"any_": ["default"]}},
        {"concurrency_limit": {"ge_": 1}},
        {"concurrency_limit": {"is_null_": True}},
        {"operator": "or_", "name": {"any_": ["c"]}, "paused": {"eq_": True}},
    )
    for deployments in conditions:
        pair.post("/deployments/filter", {"deployments": deployments, "sort": "NAME_ASC"})
        pair.post("/deployments/count", {"deployments": deployments})
    for body in (
        {"flows": {"name": {"any_": ["two"]}}},
        {"flow_runs": {"name": {"any_": ["run"]}}},
        {"work_pools": {"name": {"any_": ["p"]}}},
        {"work_pool_queues": {"name": {"any_": ["default"]}}},
        {"task_runs": {"name": {"any_": ["nobody"]}}},
    ):
        pair.post("/deployments/filter", {**body, "sort": "NAME_ASC"})
        pair.post("/deployments/count", body)
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "NOTHING"):
        pair.post("/deployments/filter", {"sort": sort})
    for page in ({"limit": 2}, {"limit": 2, "offset": 3}):
        pair.post("/deployments/filter", {"sort": "NAME_ASC", **page})
    for page in ({}, {"limit": 3}, {"limit": 3, "page": 2}, {"limit": 3, "page": 5}, {"page": -1}):
        pair.post("/deployments/paginate", {"sort": "NAME_ASC", **page})
    pair.get("/deployments/{id}/work_queue_check", id=ids["a"])
    pair.post("/deployments/bulk_delete", {"deployments": {"id": {"any_": [ids["a"]]}}})
    pair.post("/deployments/bulk_delete", {"limit": 51})
    pair.post("/deployments/bulk_delete", {})
    pair.post("/deployments/bulk_delete", {})
    pair.post("/flow_runs/filter", {})


@sequence
def deployments_deleted(pair: Pair) -> None:
    """What a deleted deployment takes with it and what it leaves."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow, concurrency_limit=3)
    path = "/deployments/{id}/create_flow_run"
    for state in (
        {"type": "SCHEDULED"},
        {"type": "SCHEDULED", "name": "AwaitingConcurrencySlot"},
        {"type": "SCHEDULED", "name": "AwaitingRetry"},
        {"type": "PENDING"},
        {"type": "COMPLETED"},
    ):
        pair.post(
            path, {"state": state, "name": state.get("name", state["type"])}, id=deployment["id"]
        )
    pair.delete("/deployments/{id}", id=deployment["id"])
    pair.delete("/deployments/{id}", id=deployment["id"])
    pair.get("/deployments/{id}", id=deployment["id"])
    pair.post("/flow_runs/filter", {"sort": "NAME_ASC"})
    pair.post("/deployments/{id}/schedule", id=deployment["id"])
