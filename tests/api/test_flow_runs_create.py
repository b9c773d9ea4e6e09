"""Creating flow runs, of a deployment and ad hoc: everything a caller may send, and may get wrong.

The facts are in the contract's text; what is said here holds on both databases.
"""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from penstock.contract.rest.flow_runs import FlowRunResponse
from penstock.core import documents
from penstock.core.ids import new_id
from penstock.core.parameter_schemas import CompiledSchema
from penstock.server.app import Server
from penstock.services.lost_runs import rescue_lost_runs
from penstock.store.tables import variable
from penstock.store.transaction import Transaction
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "cores": "{{ cores }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "cores": {"type": "integer", "default": 1},
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "who": {"type": "string", "default": "me"}},
    "required": ["n"],
}


async def deploy(api: Api, **fields: Json) -> Json:
    """A new deployment `d` of the flow `hello`."""
    flow_id = await api.make_flow()
    return await api.post("/deployments/", {"name": "d", "flow_id": flow_id, **fields})


async def deploy_to_pool(api: Api, **fields: Json) -> Json:
    """A new deployment in the work pool `p`, whose template has two variables."""
    pool = {"name": "p", "type": "process", "base_job_template": TEMPLATE}
    await api.post("/work_pools/", pool)
    return await deploy(api, work_pool_name="p", **fields)


async def create(api: Api, deployment: Json, **body: Json) -> Json:
    """The run that the deployment's door makes of this body."""
    return await api.post(f"/deployments/{deployment['id']}/create_flow_run", body)


async def refusal(api: Api, deployment: Json, status: int, **body: Json) -> str:
    """What the door says to a body that it refuses with this status."""
    path = f"/deployments/{deployment['id']}/create_flow_run"
    answer = await api.call("POST", path, body)
    assert answer.status_code == status, answer.text
    return answer.text


def is_whole(run: Json) -> None:
    """The answer has every field of the contract's FlowRunResponse, each of its type."""
    assert set(run) == set(FlowRunResponse.model_fields)
    FlowRunResponse.model_validate_json(json.dumps(run))


# ------------------------------------------------------------------ the answer


async def test_a_deployments_run_waits_to_be_executed(api: Api) -> None:
    deployment = await deploy_to_pool(api, version="7")
    before = datetime.now(UTC)
    run = await create(api, deployment)
    is_whole(run)
    assert run == await api.get(f"/flow_runs/{run['id']}") | {
        key: run[key] for key in ("estimated_start_time_delta", "estimated_run_time")
    }
    assert (run["state_type"], run["state_name"]) == ("SCHEDULED", "Scheduled")
    assert run["state"]["id"] == run["state_id"]
    scheduled = run["state"]["state_details"]["scheduled_time"]
    assert run["expected_start_time"] == run["next_scheduled_start_time"] == scheduled
    assert abs(datetime.fromisoformat(scheduled) - before) < timedelta(seconds=10)
    assert (run["flow_id"], run["deployment_id"]) == (deployment["flow_id"], deployment["id"])
    assert (run["work_pool_name"], run["work_queue_name"]) == ("p", "default")
    assert run["work_queue_id"] == deployment["work_queue_id"]
    assert run["deployment_version"] == "7"
    assert (run["start_time"], run["end_time"], run["total_run_time"]) == (None, None, 0)
    assert (run["run_count"], run["auto_scheduled"]) == (0, False)
    assert run["job_variables"] == {}


async def test_an_ad_hoc_run_is_pending(api: Api) -> None:
    flow_id = await api.make_flow()
    run = await api.make_flow_run(flow_id)
    is_whole(run)
    assert (run["state_type"], run["state_name"]) == ("PENDING", "Pending")
    assert (run["deployment_id"], run["work_queue_name"], run["job_variables"]) == (None, None, {})
    assert run["next_scheduled_start_time"] is None
    assert run["expected_start_time"] == run["state"]["timestamp"]


async def test_the_computed_times_are_truthful(api: Api) -> None:
    flow_id = await api.make_flow()
    due = datetime.now(UTC) - timedelta(minutes=5)
    late = await api.make_flow_run(
        flow_id, {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
    )
    assert 299 < late["estimated_start_time_delta"] < 330
    running = await api.make_flow_run(flow_id, "RUNNING")
    assert running["start_time"] == running["state"]["timestamp"]
    assert running["run_count"] == 1
    again = await api.get(f"/flow_runs/{running['id']}")
    assert 0 < again["estimated_run_time"] < 30
    assert again["total_run_time"] == 0
    ended = await api.make_flow_run(flow_id, "COMPLETED")
    assert ended["end_time"] == ended["start_time"] == ended["state"]["timestamp"]


# ------------------------------------------------------------------ what is given


async def test_a_given_state_is_the_first_one(api: Api) -> None:
    deployment = await deploy(api)
    at = "2030-01-01T09:00:00Z"
    state = {"type": "SCHEDULED", "name": "Later", "message": "at nine",
             "state_details": {"scheduled_time": at}}  # fmt: skip
    run = await create(api, deployment, state=state)
    assert (run["state_name"], run["state"]["message"]) == ("Later", "at nine")
    assert run["next_scheduled_start_time"].startswith("2030-01-01T09:00:00")
    ended = await create(api, deployment, state={"type": "COMPLETED", "data": {"a": 1.0}})
    assert ended["state_name"] == "Completed"
    history = await api.get("/flow_run_states/", flow_run_id=ended["id"])
    assert [s["data"] for s in history] == [{"a": 1.0}]


async def test_a_name_is_kept_and_a_missing_one_is_made(api: Api) -> None:
    deployment = await deploy(api)
    assert (await create(api, deployment, name="Größe 🚰"))["name"] == "Größe 🚰"
    made = {(await create(api, deployment, name=n))["name"] for n in (None, "", None)}
    assert len(made) == 3
    assert all("-" in name for name in made)


async def test_parameters_are_the_deployments_overwritten_key_by_key(api: Api) -> None:
    deployment = await deploy(api, parameters={"a": {"x": 1, "y": 2}, "b": 1, "c": None})
    run = await create(api, deployment, parameters={"a": {"x": 3}, "d": [1.0, 1]})
    assert run["parameters"] == {"a": {"x": 3}, "b": 1, "c": None, "d": [1.0, 1]}


async def test_a_deployments_large_numbers_keep_their_digits(api: Api) -> None:
    deployment = await deploy(
        api, parameters={"large": 2**80}, job_variables={"n": 2**70}, enforce_parameter_schema=False
    )
    path = f"/deployments/{deployment['id']}/create_flow_run"
    answer = await api.call("POST", path, {"parameters": {"small": 1}})
    assert f'"large":{2**80}' in answer.text
    read = await api.call("GET", f"/deployments/{deployment['id']}")
    assert f'"n":{2**70}' in read.text


async def test_parameters_of_an_ad_hoc_run_are_taken_as_they_are(api: Api) -> None:
    flow_id = await api.make_flow()
    parameters = {"a": {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}}
    assert (await api.make_flow_run(flow_id, parameters=parameters))["parameters"] == parameters


async def set_variable(server: Server, name: str, value: Json) -> None:
    assert server.database is not None
    now = datetime.now(UTC)
    values = {"id": new_id(now), "workspace_id": 1, "created": now, "updated": now,
              "name": name, "value": documents.dump(value), "tags": "[]"}  # fmt: skip

    def unit(tx: Transaction) -> None:
        tx.run(insert(variable).values(values))

    await server.database.write(unit)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"__prefect_kind": "json", "value": "[1, 2.0]"}, {"a": [1, 2.0]}),
        ({"__prefect_kind": "json"}, {}),
        ({"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}, {"a": "2"}),
        ({"__prefect_kind": "workspace_variable", "variable_name": "v"}, {"a": {"deep": [1]}}),
        ({"__prefect_kind": "none", "value": 5}, {"a": 5}),
        ({"__prefect_kind": "no such kind", "value": 6}, {"a": 6}),
        (
            {
                "__prefect_kind": "json",
                "value": {"__prefect_kind": "jinja", "template": "{{ 2 * 3 }}"},
            },
            {"a": 6},
        ),
        ([{"__prefect_kind": "json", "value": "null"}], {"a": [None]}),
    ],
)
async def test_parameters_are_hydrated(
    api: Api, server: Server, given: Json, stored: dict[str, Any]
) -> None:
    await set_variable(server, "v", {"deep": [1]})
    deployment = await deploy(api)
    run = await create(api, deployment, parameters={"a": given})
    assert run["parameters"] == stored


@pytest.mark.parametrize(
    "given",
    [
        {"__prefect_kind": "workspace_variable", "variable_name": "nobody"},
        {"__prefect_kind": "jinja", "template": "{{ nope( }}"},
        {"__prefect_kind": "jinja", "template": "{{ ''.__class__.__mro__ }}"},
        {"__prefect_kind": "jinja", "template": "{% for i in range(10**9) %}x{% endfor %}"},
        {"__prefect_kind": "jinja"},
        {"__prefect_kind": "json", "value": "{"},
    ],
)
async def test_what_cannot_be_hydrated_is_refused_with_the_reason(api: Api, given: Json) -> None:
    deployment = await deploy(api)
    assert '"detail":"' in await refusal(api, deployment, 400, parameters={"a": given})


async def test_parameters_the_schema_refuses_are_a_conflict_that_names_the_field(api: Api) -> None:
    deployment = await deploy(api, parameter_openapi_schema=SCHEMA)
    assert "n: this is required" in await refusal(api, deployment, 409)
    wrong = await refusal(api, deployment, 409, parameters={"n": "one"})
    assert "n: " in wrong
    assert "integer" in wrong
    assert (await create(api, deployment, parameters={"n": 1}))["parameters"] == {"n": 1}


async def test_the_schema_is_enforced_when_the_request_or_the_deployment_says_so(api: Api) -> None:
    strict = await deploy(api, parameter_openapi_schema=SCHEMA)
    await create(api, strict, enforce_parameter_schema=False)
    await api.patch(f"/deployments/{strict['id']}", {"enforce_parameter_schema": False})
    await create(api, strict, parameters={"n": "one"})
    await refusal(api, strict, 409, enforce_parameter_schema=True, parameters={"n": "one"})


async def test_a_changed_schema_counts_from_the_next_run_on(api: Api) -> None:
    deployment = await deploy(api, parameter_openapi_schema=SCHEMA)
    await create(api, deployment, parameters={"n": 1})
    changed = {"type": "object", "properties": {"n": {"type": "string"}}}
    await api.patch(f"/deployments/{deployment['id']}", {"parameter_openapi_schema": changed})
    await refusal(api, deployment, 409, parameters={"n": 1})
    await create(api, deployment, parameters={"n": "1"})


async def test_context_policy_document_and_parent_are_kept(api: Api) -> None:
    deployment = await deploy(api)
    policy = {"retries": 2, "retry_delay": 5, "pause_keys": ["k"], "resuming": True,
              "retry_type": "in_process"}  # fmt: skip
    document, parent = str(uuid4()), str(uuid4())
    run = await create(
        api,
        deployment,
        context={"why": ["because", 1.50]},
        empirical_policy=policy,
        infrastructure_document_id=document,
        parent_task_run_id=parent,
    )
    is_whole(run)
    assert run["context"] == {"why": ["because", 1.5]}
    kept = run["empirical_policy"]
    assert {k: kept[k] for k in ("retries", "retry_delay", "pause_keys")} == {
        k: policy[k] for k in ("retries", "retry_delay", "pause_keys")
    }
    assert run["infrastructure_document_id"] == document
    assert run["parent_task_run_id"] == parent
    assert run["state"]["state_details"]["task_run_id"] == parent
    read = await api.get(f"/flow_runs/{run['id']}")
    assert (read["empirical_policy"], read["context"]) == (kept, run["context"])


async def test_the_deployments_infrastructure_document_is_the_default(api: Api) -> None:
    document = str(uuid4())
    deployment = await deploy(api, infrastructure_document_id=document)
    assert (await create(api, deployment))["infrastructure_document_id"] == document


async def test_tags_are_the_union_with_the_deployments(api: Api) -> None:
    deployment = await deploy(api, tags=["x", "y"])
    run = await create(api, deployment, tags=["y", "z", "z"])
    assert sorted(run["tags"]) == ["x", "y", "z"]
    found = await api.post("/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["x", "z"]}}})
    assert [r["id"] for r in found] == [run["id"]]
    flow_id = run["flow_id"]
    assert (await api.make_flow_run(flow_id, tags=["b", "a", "b"]))["tags"] == ["b", "a"]


async def test_labels_are_merged_the_requests_last(api: Api) -> None:
    flow_id = await api.make_flow(labels={"from": "flow", "kept": 1})
    body = {"name": "d", "flow_id": flow_id, "labels": {"from": "deployment", "d": True}}
    deployment = await api.post("/deployments/", body)
    run = await create(api, deployment, labels={"from": "request", "f": 1.5})
    ours = {"prefect.flow.id": flow_id, "prefect.deployment.id": deployment["id"]}
    assert run["labels"] == {"from": "request", "kept": 1, "d": True, "f": 1.5} | ours
    ad_hoc = await api.make_flow_run(flow_id, labels={"mine": "x"})
    assert ad_hoc["labels"] == {"from": "flow", "kept": 1, "mine": "x", "prefect.flow.id": flow_id}


async def test_an_empty_queue_name_names_none(api: Api) -> None:
    await api.post("/work_pools/", {"name": "p", "type": "process"})
    deployment = await deploy(api, work_pool_name="p")
    assert (await create(api, deployment, work_queue_name=""))["work_queue_name"] == "default"


async def test_a_queue_is_made_when_it_is_missing(api: Api) -> None:
    deployment = await deploy_to_pool(api)
    run = await create(api, deployment, work_queue_name="urgent")
    again = await create(api, deployment, work_queue_name="urgent")
    assert (run["work_queue_name"], run["work_pool_name"]) == ("urgent", "p")
    assert again["work_queue_id"] == run["work_queue_id"] != deployment["work_queue_id"]


async def test_many_requests_at_once_make_a_missing_queue_once(api: Api) -> None:
    deployment = await deploy_to_pool(api)
    runs = await asyncio.gather(
        *[create(api, deployment, work_queue_name="urgent") for _ in range(20)]
    )
    assert len({r["work_queue_id"] for r in runs}) == 1


async def test_a_queue_needs_a_pool(api: Api) -> None:
    deployment = await deploy(api)
    assert "work pool" in await refusal(api, deployment, 400, work_queue_name="urgent")


async def test_job_variables_are_held_against_the_pools_template(api: Api) -> None:
    deployment = await deploy_to_pool(api, job_variables={"command": "python"})
    run = await create(api, deployment, job_variables={"cores": 4, "more": [1]})
    assert run["job_variables"] == {"cores": 4, "more": [1]}
    said = json.loads(await refusal(api, deployment, 422, job_variables={"cores": "four"}))
    assert said["detail"][0]["loc"] == ["body", "job_variables", "cores"]


async def test_an_ad_hoc_run_may_name_pool_version_and_deployment(api: Api) -> None:
    deployment = await deploy_to_pool(api)
    run = await api.make_flow_run(
        deployment["flow_id"],
        work_pool_name="p",
        flow_version="1.2",
        deployment_id=deployment["id"],
        job_variables={"any": 1},
    )
    assert (run["work_pool_name"], run["work_queue_name"]) == ("p", "default")
    assert (run["flow_version"], run["deployment_id"]) == ("1.2", deployment["id"])
    assert run["job_variables"] == {"any": 1}
    assert run["labels"]["prefect.deployment.id"] == deployment["id"]
    for missing in ({"work_pool_name": "q"}, {"work_pool_name": "p", "work_queue_name": "q"}):
        answer = await api.call(
            "POST", "/flow_runs/", {"flow_id": deployment["flow_id"], **missing}
        )
        assert answer.status_code == 404


# ------------------------------------------------------------------ idempotency


async def test_a_key_makes_one_run_whatever_is_sent_with_it_again(api: Api) -> None:
    deployment = await deploy(api)
    path = f"/deployments/{deployment['id']}/create_flow_run"
    first = await api.call("POST", path, {"idempotency_key": "k", "name": "a", "tags": ["t"]})
    other = {"idempotency_key": "k", "name": "b", "state": {"type": "RUNNING"}, "tags": ["u"]}
    again = await api.call("POST", path, other)
    assert (first.status_code, again.status_code) == (201, 200)
    is_whole(again.json())
    times = {"estimated_start_time_delta": 0}
    assert again.json() | times == first.json() | times
    history = await api.get("/flow_run_states/", flow_run_id=first.json()["id"])
    assert len(history) == 1


async def test_a_key_is_the_flows(api: Api) -> None:
    one, two = await api.make_flow("one"), await api.make_flow("two")
    a = await api.make_flow_run(one, idempotency_key="k")
    b = await api.make_flow_run(two, idempotency_key="k")
    again = await api.make_flow_run(one, idempotency_key="k")
    assert a["id"] != b["id"]
    assert again["id"] == a["id"]


async def test_fifty_requests_at_once_with_one_key_make_one_run(api: Api) -> None:
    deployment = await deploy(api)
    path = f"/deployments/{deployment['id']}/create_flow_run"
    answers = await asyncio.gather(
        *[api.call("POST", path, {"idempotency_key": "🔑"}) for _ in range(50)]
    )
    assert sorted({a.status_code for a in answers}) == [200, 201]
    assert [a.status_code for a in answers].count(201) == 1
    assert len({a.json()["id"] for a in answers}) == 1
    assert await api.post("/flow_runs/count") == 1


async def test_without_a_key_every_request_makes_a_run(api: Api) -> None:
    deployment = await deploy(api)
    await asyncio.gather(*[create(api, deployment) for _ in range(50)])
    assert await api.post("/flow_runs/count") == 50


async def test_a_run_that_a_user_deletes_frees_its_key(api: Api) -> None:
    flow_id = await api.make_flow()
    run = await api.make_flow_run(flow_id, idempotency_key="k")
    await api.delete(f"/flow_runs/{run['id']}")
    assert (await api.make_flow_run(flow_id, idempotency_key="k"))["id"] != run["id"]


# ------------------------------------------------------------------ what is refused


async def test_what_is_not_there(api: Api) -> None:
    nobody = {"id": str(uuid4())}
    assert nobody["id"] in await refusal(api, nobody, 404)
    answer = await api.call("POST", "/flow_runs/", {"flow_id": nobody["id"]})
    assert answer.status_code == 409
    answer = await api.call("POST", "/deployments/not-a-uuid/create_flow_run", {})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("body", "loc", "type"),
    [
        ({"nope": 1}, ["nope"], "extra_forbidden"),
        ({"tags": "a"}, ["tags"], "list_type"),
        ({"tags": [1]}, ["tags", 0], "string_type"),
        ({"parameters": []}, ["parameters"], "dict_type"),
        ({"name": 5}, ["name"], "string_type"),
        ({"name": "x" * 501}, ["name"], "string_too_long"),
        ({"name": "\0"}, ["name"], "string_pattern_mismatch"),
        ({"parent_task_run_id": "x"}, ["parent_task_run_id"], "uuid_parsing"),
        ({"state": {"type": "ODD"}}, ["state", "type"], "enum"),
        ({"state": {}}, ["state", "type"], "missing"),
        (
            {"empirical_policy": {"retries": 2**31}},
            ["empirical_policy", "retries"],
            "less_than_equal",
        ),
        (
            {
                "state": {
                    "type": "SCHEDULED",
                    "state_details": {"scheduled_time": "9999-12-31T23:59:59-12:00"},
                }
            },
            ["state", "state_details", "scheduled_time"],
            "datetime_out_of_range",
        ),
    ],
)
async def test_a_wrong_body_gets_the_contracts_422(
    api: Api, body: Json, loc: list[Any], type: str
) -> None:
    deployment = await deploy(api)
    said = json.loads(await refusal(api, deployment, 422, **body))
    assert said["detail"] == said["exception_detail"]
    assert said["exception_message"] == "Invalid request received."
    [problem] = said["detail"]
    assert (problem["loc"], problem["type"]) == (["body", *loc], type)
    assert problem["msg"]
    assert "input" in problem
    assert said["request_body"] == body


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"parameters":{"a":NaN}}',
        b'{"parameters":{"a":Infinity}}',
        b'{"parameters":{"a":1e999}}',
        b'{"parameters":{"a":"\\ud800"}}',
        b'{"context":{"a":-1e999}}',
        b'{"name":"\\u0000"}',
        b'{"tags":["\\u0000"]}',
        b'{"state":{"type":"SCHEDULED","state_details":{"scheduled_time":1e300}}}',
        b'{"empirical_policy":{"retries":1e999}}',
        b'{"parameters":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
        b"[" * 100_000,
    ],
)
async def test_what_is_no_proper_json_is_a_422(api: Api, raw: bytes) -> None:
    deployment = await deploy(api)
    path = f"/deployments/{deployment['id']}/create_flow_run"
    answer = await api.client.post(path, content=raw)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"][0] == "body"
    assert len(answer.content) < 100_000


async def test_a_long_wrong_body_gets_a_short_answer(api: Api) -> None:
    flow_id = await api.make_flow()
    for body in ({"flow_id": flow_id, "tags": [1] * 400, "x": "y" * 300_000}, {"x": "y" * 10**6}):
        answer = await api.call("POST", "/flow_runs/", body)
        assert answer.status_code == 422
        assert len(answer.content) < 100_000


@pytest.mark.parametrize(
    "parameters",
    [
        {"a\0b": "\0", "emoji": "🚰👩‍👩‍👧", "\ud7ff\ue000": "\U0010ffff"},
        {"big": 10**300, "small": -(2**63) - 1, "long": 123456789012345678901234567890},
        {"f": [1.0, 1e300, 5e-324, -0.0, 0.1]},
        {"": "", " ": {"": []}},
        {"constructor": 1, "__proto__": {"a": 1}, "$ref": "#/x"},
    ],
)
async def test_odd_parameters_come_back_as_they_were(api: Api, parameters: Json) -> None:
    deployment = await deploy(api)
    run = await create(api, deployment, parameters=parameters, enforce_parameter_schema=False)
    read = await api.get(f"/flow_runs/{run['id']}")
    assert run["parameters"] == read["parameters"] == parameters
    assert json.dumps(read["parameters"]) == json.dumps(parameters)


@pytest.mark.parametrize("version", ["1", "a.b.c", "0.8", "0.8.4.1", "0.7.9", "0.8.x"])
async def test_a_malformed_or_old_api_version_is_a_400(api: Api, version: str) -> None:
    headers = {"x-prefect-api-version": version}
    answer = await api.call("POST", "/flow_runs/", {"flow_id": str(uuid4())}, headers=headers)
    assert answer.status_code == 400
    assert "version" in answer.json()["detail"]


async def test_a_proper_api_version_is_welcome(api: Api) -> None:
    flow_id = await api.make_flow()
    headers = {"x-prefect-api-version": "0.8.4"}
    answer = await api.call("POST", "/flow_runs/", {"flow_id": flow_id}, headers=headers)
    assert answer.status_code == 201


# ------------------------------------------------------------------ bulk


async def test_a_bulk_create_answers_for_each_entry_in_order(api: Api) -> None:
    deployment = await deploy(api, parameter_openapi_schema=SCHEMA, tags=["all"])
    path = f"/deployments/{deployment['id']}/create_flow_run/bulk"
    held = await create(api, deployment, parameters={"n": 0}, idempotency_key="held")
    entries = [
        {"parameters": {"n": 1}, "name": "one", "tags": ["own"]},
        {"parameters": {"n": "bad"}},
        {"parameters": {"n": 2}, "idempotency_key": "k"},
        {"parameters": {"n": 3}, "idempotency_key": "k"},
        {"parameters": {"n": 4}, "idempotency_key": "held"},
        {"parameters": {"n": 5}, "work_queue_name": "q"},
    ]
    results = (await api.post(path, entries))["results"]
    assert [r["status"] for r in results] == [
        "CREATED", "FAILED", "CREATED", "CREATED", "CREATED", "FAILED"
    ]  # fmt: skip
    assert "n: " in results[1]["error"]
    assert results[2]["flow_run_id"] == results[3]["flow_run_id"]
    assert results[4]["flow_run_id"] == held["id"]
    one = await api.get(f"/flow_runs/{results[0]['flow_run_id']}")
    is_whole(one)
    assert (one["name"], sorted(one["tags"]), one["parameters"]) == (
        "one",
        ["all", "own"],
        {"n": 1},
    )
    assert await api.post("/flow_runs/count") == 3


async def test_a_bulk_create_makes_at_most_100(api: Api) -> None:
    deployment = await deploy(api)
    path = f"/deployments/{deployment['id']}/create_flow_run/bulk"
    assert len((await api.post(path, [{}] * 100))["results"]) == 100
    assert (await api.call("POST", path, [{}] * 101)).status_code == 400
    assert (await api.post(path, []))["results"] == []
    nobody = f"/deployments/{uuid4()}/create_flow_run/bulk"
    assert (await api.call("POST", nobody, [])).status_code == 404


# ------------------------------------------------------------------ slow schemas


async def test_a_schema_that_is_slow_to_validate_holds_up_no_other_create(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = await deploy(api, parameter_openapi_schema=SCHEMA)
    quick = await api.post("/deployments/", {"name": "quick", "flow_id": slow["flow_id"]})
    go, waits = threading.Event(), threading.Event()
    problems = CompiledSchema.problems

    def slow_problems(self: CompiledSchema, values: Json, **options: bool) -> Any:
        if values.get("n") == 13:
            waits.set()
            assert go.wait(15)
        return problems(self, values, **options)

    monkeypatch.setattr(CompiledSchema, "problems", slow_problems)
    waiting = asyncio.create_task(create(api, slow, parameters={"n": 13}))
    try:
        assert await asyncio.to_thread(waits.wait, 15)
        await asyncio.gather(*[create(api, quick) for _ in range(100)])
        assert not waiting.done()
    finally:
        go.set()
    assert (await waiting)["parameters"] == {"n": 13}


async def test_a_pattern_that_explodes_is_refused_in_no_time(api: Api) -> None:
    pattern = {"type": "string", "pattern": "^(?=(a+)+$)(a+)+b$"}
    schema = {"type": "object", "properties": {"s": pattern}}
    deployment = await deploy(api, parameter_openapi_schema=schema)
    started = asyncio.get_running_loop().time()
    exploding = {"s": "a" * 5000 + "!"}
    refused = asyncio.create_task(refusal(api, deployment, 409, parameters=exploding))
    await asyncio.gather(*[create(api, deployment, parameters={}) for _ in range(20)])
    await refused
    assert asyncio.get_running_loop().time() - started < 10


# ------------------------------------------------------------------ attempts


async def take(api: Api, run: Json, attempt: UUID, type: str = "PENDING") -> Json:
    """What a worker is answered that proposes this state on behalf of its attempt."""
    answer = await api.call(
        "POST",
        f"/flow_runs/{run['id']}/set_state",
        {"state": {"type": type}},
        headers={"Penstock-Attempt": str(attempt)},
    )
    assert answer.status_code in (200, 201)
    return answer.json()


async def test_an_attempt_lasts_while_it_is_renewed(api: Api, server: Server) -> None:
    assert server.database is not None
    run = await create(api, await deploy(api))
    attempt = uuid4()
    assert (await take(api, run, attempt))["status"] == "ACCEPT"
    renewed = await api.post(f"/penstock/attempts/{attempt}/renew")
    assert renewed == {
        "flow_run_id": run["id"],
        "lease_seconds": 30,
        "state_type": "PENDING",
        "state_name": "Pending",
    }
    soon = datetime.now(UTC) + timedelta(seconds=20)
    assert await rescue_lost_runs(server.database, soon) == 0
    assert (await take(api, run, attempt, "RUNNING"))["status"] == "ACCEPT"


async def test_a_lost_attempt_crashes_its_run_and_writes_no_more(api: Api, server: Server) -> None:
    assert server.database is not None
    run = await create(api, await deploy(api))
    attempt = uuid4()
    await take(api, run, attempt)
    await take(api, run, attempt, "RUNNING")
    later = datetime.now(UTC) + timedelta(seconds=31)
    rescue = partial(rescue_lost_runs, server.database, later)
    assert sum(await asyncio.gather(*[rescue() for _ in range(4)])) == 1
    history = await api.get("/flow_run_states/", flow_run_id=run["id"])
    assert [s["type"] for s in history] == ["SCHEDULED", "PENDING", "RUNNING", "CRASHED"]
    assert (await api.call("POST", f"/penstock/attempts/{attempt}/renew")).status_code == 410
    for type in ("COMPLETED", "RUNNING", "FAILED", "PENDING"):
        said = await take(api, run, attempt, type)
        assert said["status"] == "ABORT", type
        assert "attempt was lost" in said["details"]["reason"]
    assert (await api.get(f"/flow_runs/{run['id']}"))["state_type"] == "CRASHED"


async def test_a_run_is_taken_by_one_of_many_workers(api: Api) -> None:
    run = await create(api, await deploy(api))
    said = await asyncio.gather(*[take(api, run, uuid4()) for _ in range(10)])
    assert sorted(s["status"] for s in said) == ["ABORT"] * 9 + ["ACCEPT"]


async def test_an_attempt_is_over_when_its_run_has_ended(api: Api) -> None:
    run = await create(api, await deploy(api))
    attempt = uuid4()
    for type in ("PENDING", "RUNNING", "COMPLETED"):
        await take(api, run, attempt, type)
    answer = await api.call("POST", f"/penstock/attempts/{attempt}/renew")
    assert answer.status_code == 410
    assert (await api.call("POST", f"/penstock/attempts/{uuid4()}/renew")).status_code == 410
    odd = {"Penstock-Attempt": "not a uuid"}
    path = f"/flow_runs/{run['id']}/set_state"
    answer = await api.call("POST", path, {"state": {"type": "RUNNING"}}, headers=odd)
    assert answer.status_code == 400
