"""Deployments over HTTP: made and overwritten by name, changed field by field, deleted."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from penstock.contract.rest.deployments import DeploymentResponse
from penstock.server.app import Server
from penstock.services.scheduler import schedule_runs
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
CRON = {"schedule": {"cron": "0 9 * * *"}}
TEMPLATE = {
    "job_configuration": {"cores": "{{ cores }}"},
    "variables": {"type": "object", "properties": {"cores": {"type": "integer"}}},
}


async def make(api: Api, **fields: Json) -> Json:
    """The deployment `d` of the flow `hello`, made or overwritten."""
    flow_id = await api.make_flow()
    return await api.post("/deployments/", {"name": "d", "flow_id": flow_id, **fields})


async def refused(api: Api, status: int, method: str, path: str, body: Json = None) -> str:
    answer = await api.call(method, path, body)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_a_deployment_is_read_as_it_was_made(api: Api) -> None:
    made = await make(
        api,
        version="1",
        description="what for",
        path="/code",
        entrypoint="flows.py:hello",
        tags=["b", "a"],
        labels={"team": "x"},
        parameters={"n": 1.0},
        parameter_openapi_schema={"type": "object", "properties": {"n": {"type": "number"}}},
        job_variables={"cores": 2},
        pull_steps=[{"step": {"a": 1}}],
        schedules=[CRON],
    )
    assert set(made) == set(DeploymentResponse.model_fields)
    DeploymentResponse.model_validate(made)
    assert made == await api.get(f"/deployments/{made['id']}")
    assert made == await api.get("/deployments/name/hello/d")
    assert (made["path"], made["entrypoint"]) == ("/code", "flows.py:hello")
    labels = {"prefect.flow.id": made["flow_id"], "team": "x"}
    assert (made["tags"], made["labels"]) == (["b", "a"], labels)
    assert (made["status"], made["paused"]) == ("NOT_READY", False)
    assert made["enforce_parameter_schema"] is True
    assert made["schedules"][0]["schedule"]["cron"] == "0 9 * * *"


async def test_the_same_name_is_overwritten_where_fields_were_sent(api: Api) -> None:
    first = await make(api, description="kept", tags=["a"], schedules=[CRON])
    body = {"name": "d", "flow_id": first["flow_id"], "version": "2"}
    answer = await api.call("POST", "/deployments/", body)
    assert answer.status_code == 200
    again = answer.json()
    assert (again["id"], again["created"]) == (first["id"], first["created"])
    assert (again["version"], again["description"], again["tags"]) == ("2", "kept", ["a"])
    assert again["schedules"] == []


async def test_what_is_not_there(api: Api) -> None:
    nobody = uuid4()
    await refused(api, 409, "POST", "/deployments/", {"name": "d", "flow_id": str(nobody)})
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/pause_deployment"),
        ("POST", "/resume_deployment"),
        ("GET", "/schedules"),
    ):
        body = {} if method != "GET" else None
        assert str(nobody) in await refused(api, 404, method, f"/deployments/{nobody}{path}", body)
    await refused(api, 404, "GET", "/deployments/name/hello/nobody")


async def test_pools_and_queues_of_deployments(api: Api) -> None:
    await api.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": TEMPLATE})
    flow_id = await api.make_flow()
    body = {"name": "d", "flow_id": flow_id, "work_pool_name": "nope"}
    assert "nope" in await refused(api, 404, "POST", "/deployments/", body)
    made = await make(api, work_pool_name="p")
    assert (made["work_pool_name"], made["work_queue_name"]) == ("p", "default")
    made = await make(api, work_pool_name="p", work_queue_name="fast")
    assert made["work_queue_name"] == "fast"
    await api.patch(f"/deployments/{made['id']}", {"work_pool_name": None})
    detached = await api.get(f"/deployments/{made['id']}")
    assert (detached["work_pool_name"], detached["work_queue_id"]) == (None, None)
    alone = await api.post(
        "/deployments/", {"name": "q", "flow_id": flow_id, "work_queue_name": "mine"}
    )
    assert (alone["work_pool_name"], alone["work_queue_name"]) == ("default-agent-pool", "mine")
    wrong = {**body, "work_pool_name": "p", "job_variables": {"cores": "x"}}
    assert "cores" in await refused(api, 422, "POST", "/deployments/", wrong)
    missing = {"work_pool_name": "nope"}
    await refused(api, 404, "PATCH", f"/deployments/{made['id']}", missing)


async def test_parameters_are_checked_but_may_be_incomplete(api: Api) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "m": {"type": "integer"}},
        "required": ["n", "m"],
    }
    made = await make(api, parameter_openapi_schema=schema, parameters={"n": 1})
    path = f"/deployments/{made['id']}"
    assert "n: " in await refused(api, 409, "PATCH", path, {"parameters": {"n": "x"}})
    await api.patch(path, {"parameters": {"m": 2}})
    assert (await api.get(path))["parameters"] == {"m": 2}
    remote = {"$ref": "https://example.com/schema.json"}
    assert "not in the schema" in await refused(
        api, 422, "PATCH", path, {"parameter_openapi_schema": remote}
    )


async def test_only_what_was_sent_is_changed(api: Api) -> None:
    made = await make(api, description="kept", tags=["a"], schedules=[CRON])
    path = f"/deployments/{made['id']}"
    await api.patch(path, {"tags": ["b"], "paused": True})
    changed = await api.get(path)
    assert (changed["description"], changed["tags"], changed["paused"]) == ("kept", ["b"], True)
    assert changed["schedules"][0]["id"] == made["schedules"][0]["id"]


async def test_schedules_with_slugs_are_merged(api: Api) -> None:
    made = await make(api, schedules=[CRON | {"slug": "a"}, CRON | {"slug": "b"}])
    path = f"/deployments/{made['id']}"
    hourly = {"schedule": {"interval": 3600.0}}
    await api.patch(path, {"schedules": [{"slug": "a", "active": False}, hourly | {"slug": "c"}]})
    kept = {s["slug"]: s for s in (await api.get(path))["schedules"]}
    assert set(kept) == {"a", "b", "c"}
    assert (kept["a"]["active"], kept["b"]["active"]) == (False, True)
    assert kept["a"]["schedule"]["cron"] == "0 9 * * *"
    await api.patch(path, {"schedules": []})
    assert len((await api.get(path))["schedules"]) == 3
    await refused(api, 422, "PATCH", path, {"schedules": [hourly]})
    await refused(api, 422, "PATCH", path, {"schedules": [{"slug": "new", "active": True}]})


async def test_schedules_without_slugs_are_replaced(api: Api) -> None:
    made = await make(api, schedules=[CRON, CRON])
    path = f"/deployments/{made['id']}"
    await api.patch(path, {"schedules": [{"schedule": {"cron": "@daily"}}]})
    [left] = (await api.get(path))["schedules"]
    assert left["schedule"]["cron"] == "@daily"
    await api.patch(path, {"schedules": []})
    assert (await api.get(path))["schedules"] == []


async def test_a_limit_stands_under_its_global_name(api: Api) -> None:
    made = await make(api, concurrency_limit=3)
    assert made["concurrency_limit"] is None
    assert made["global_concurrency_limit"]["limit"] == 3
    path = f"/deployments/{made['id']}"
    await refused(api, 422, "PATCH", path, {"concurrency_limit": 0})
    await api.patch(path, {"concurrency_limit": None})
    assert (await api.get(path))["global_concurrency_limit"] is None
    both = {"concurrency_limit": 1, "global_concurrency_limit_id": str(uuid4())}
    await refused(api, 422, "PATCH", path, both)


async def test_a_deleted_deployment_takes_its_waiting_runs_along(api: Api, server: Server) -> None:
    assert server.database is not None
    made = await make(api, schedules=[CRON])
    path = f"/deployments/{made['id']}"
    done = await api.post(f"{path}/create_flow_run", {"state": {"type": "COMPLETED"}})
    await api.post(f"{path}/create_flow_run", {"idempotency_key": "k"})
    assert await schedule_runs(server.database, datetime.now(UTC)) == 3
    await api.delete(path)
    await refused(api, 404, "GET", path)
    [left] = await api.post("/flow_runs/filter")
    assert (left["id"], left["deployment_id"]) == (done["id"], made["id"])
    assert await schedule_runs(server.database, datetime.now(UTC)) == 0
    again = await make(api)
    freed = await api.call(
        "POST", f"/deployments/{again['id']}/create_flow_run", {"idempotency_key": "k"}
    )
    assert freed.status_code == 201


@pytest.mark.parametrize("name", ["", "a/b", "a%b", "x" * 501, "a\0"])
async def test_a_name_that_cannot_stand_in_a_path_is_a_422(api: Api, name: str) -> None:
    flow_id = await api.make_flow()
    said = await refused(api, 422, "POST", "/deployments/", {"name": name, "flow_id": flow_id})
    assert '"name"' in said


async def test_a_deployment_has_its_flows_labels_and_its_own(api: Api) -> None:
    flow_id = await api.make_flow(labels={"from": "flow", "team": "flow"})
    body = {"name": "d", "flow_id": flow_id, "labels": {"team": "x"}}
    made = await api.post("/deployments/", body)
    assert made["labels"] == {"from": "flow", "team": "x", "prefect.flow.id": flow_id}
    assert made["pull_steps"] == []


async def test_checking_parameters_begins_with_those_that_are_there(api: Api) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = await make(
        api,
        parameters={"n": "one"},
        parameter_openapi_schema=schema,
        enforce_parameter_schema=False,
    )
    path = f"/deployments/{made['id']}"
    await refused(api, 409, "PATCH", path, {"enforce_parameter_schema": True})
    await api.patch(path, {"enforce_parameter_schema": True, "parameters": {"n": 1}})
