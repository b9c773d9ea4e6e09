"""Runs that wait for people: their inputs, and how they go on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio

KEYSET = {"schema": "paused-1-schema", "response": "paused-1-response"}
SCHEMA = (
    '{"type": "object", "required": ["n"],'
    ' "properties": {"n": {"type": "integer"}, "note": {"type": "string", "default": "-"}}}'
)


async def paused(api: Api, *, schema: str | None = None, flow: str = "", **details: Json) -> str:
    """The id of a run that is paused; `schema` is what its input must be like."""
    flow = flow or await api.make_flow()
    fields = {"pause_timeout": str(datetime.now(UTC) + timedelta(hours=1)), "pause_key": "1"}
    run: str = (await api.make_flow_run(flow, "RUNNING"))["id"]
    if schema is not None:
        await api.post(f"/flow_runs/{run}/input", {"key": KEYSET["schema"], "value": schema})
        fields["run_input_keyset"] = KEYSET  # type: ignore[assignment]
    state = {"type": "PAUSED", "state_details": fields | details}
    answer = await api.post(f"/flow_runs/{run}/set_state", {"state": state})
    assert answer["status"] == "ACCEPT"
    return run


async def resumed(api: Api, run: str, body: Json = None) -> tuple[int, Json]:
    answer = await api.call("POST", f"/flow_runs/{run}/resume", body)
    return answer.status_code, answer.json()


async def state_of(api: Api, run: str) -> str:
    return str((await api.get(f"/flow_runs/{run}"))["state_name"])


# Inputs


async def test_an_input_is_given_back_as_it_was_sent(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow()))["id"]
    value = ' {"a":  1.0} é'
    created = await api.call("POST", f"/flow_runs/{run}/input", {"key": "k", "value": value})
    assert (created.status_code, created.json()) == (201, None)
    read = await api.call("GET", f"/flow_runs/{run}/input/k")
    assert (read.status_code, read.text) == (200, value)
    assert read.headers["content-type"] == "text/plain; charset=utf-8"
    await api.delete(f"/flow_runs/{run}/input/k")
    for method in ("GET", "DELETE"):
        assert (await api.call(method, f"/flow_runs/{run}/input/k")).status_code == 404


async def test_a_key_is_taken_once_and_belongs_to_its_run(api: Api) -> None:
    flow = await api.make_flow()
    one, other = [(await api.make_flow_run(flow))["id"] for _ in range(2)]
    body = {"key": "a b", "value": "1"}
    await api.post(f"/flow_runs/{one}/input", body)
    again = await api.call("POST", f"/flow_runs/{one}/input", body)
    assert again.status_code == 409
    await api.post(f"/flow_runs/{other}/input", {"key": "a b", "value": "2"})
    read = await api.call("GET", f"/flow_runs/{other}/input/a%20b")
    assert read.text == "2"
    unknown = await api.call("POST", f"/flow_runs/{flow}/input", body)
    assert unknown.status_code == 404


async def test_inputs_are_listed_by_prefix_the_oldest_first_one_unless_asked(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow()))["id"]
    for key in ("in-b", "in-a", "In-c", "in_d", "other"):
        await api.post(f"/flow_runs/{run}/input", {"key": key, "value": "1", "sender": "me"})

    async def keys(**body: Json) -> list[str]:
        found = await api.post(f"/flow_runs/{run}/input/filter", body)
        assert all(entry["sender"] == "me" for entry in found)
        return [entry["key"] for entry in found]

    assert await keys(prefix="in-") == ["in-b"]
    assert await keys(prefix="in-", limit=10) == ["in-b", "in-a"]
    assert await keys(prefix="in_", limit=10) == ["in_d"]
    assert await keys(prefix="", limit=10, exclude_keys=["in-a", "other"]) == [
        "in-b",
        "In-c",
        "in_d",
    ]


async def test_a_deleted_run_takes_its_inputs_with_it(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow()))["id"]
    await api.post(f"/flow_runs/{run}/input", {"key": "k", "value": "1"})
    await api.delete(f"/flow_runs/{run}")
    assert await api.post(f"/flow_runs/{run}/input/filter", {"prefix": ""}) == []


# Resuming


async def test_a_pause_in_a_process_goes_on_there(api: Api) -> None:
    run = await paused(api)
    status, answer = await resumed(api, run)
    assert (status, answer["status"], answer["state"]["type"]) == (201, "ACCEPT", "RUNNING")
    assert await state_of(api, run) == "Running"


async def test_a_suspended_run_is_scheduled_for_now(api: Api) -> None:
    flow = await api.make_flow()
    deployment = await api.post("/deployments/", {"name": "d", "flow_id": flow})
    run = (await api.post(f"/deployments/{deployment['id']}/create_flow_run"))["id"]
    for state in (
        {"type": "PENDING"},
        {"type": "RUNNING"},
        {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}},
    ):
        await api.post(f"/flow_runs/{run}/set_state", {"state": state})
    status, answer = await resumed(api, run)
    state = answer["state"]
    assert (status, state["type"], state["name"]) == (201, "SCHEDULED", "Resuming")
    assert datetime.fromisoformat(state["state_details"]["scheduled_time"]) <= datetime.now(UTC)


async def test_what_is_not_paused_does_not_resume(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow(), "RUNNING"))["id"]
    status, answer = await resumed(api, run)
    assert (status, answer["status"], answer["state"]) == (200, "ABORT", None)
    assert (await api.call("POST", f"/flow_runs/{run[:-12]}000000000000/resume")).status_code == 404


async def test_a_pause_that_lasted_too_long_fails(api: Api) -> None:
    run = await paused(api, pause_timeout="2020-01-01T00:00:00Z")
    status, answer = await resumed(api, run)
    assert (status, answer["status"], answer["state"]["type"]) == (201, "REJECT", "FAILED")


async def test_the_input_is_kept_for_the_run_with_its_templates_resolved(api: Api) -> None:
    run = await paused(api, schema=SCHEMA)
    given = {"n": {"__prefect_kind": "json", "value": "3"}}
    status, answer = await resumed(api, run, {"run_input": given})
    assert (status, answer["status"]) == (201, "ACCEPT")
    assert (await api.get(f"/flow_runs/{run}/input/{KEYSET['response']}")) == {"n": 3}


async def test_a_pause_that_needs_no_answer_gets_an_empty_one(api: Api) -> None:
    run = await paused(api, schema='{"type": "object"}')
    assert (await resumed(api, run))[0] == 201
    assert (await api.get(f"/flow_runs/{run}/input/{KEYSET['response']}")) == {}


@pytest.mark.parametrize(
    ("schema", "given", "why"),
    [
        (SCHEMA, None, "n"),
        (SCHEMA, {"n": "x"}, "n: "),
        (SCHEMA, {"n": {"__prefect_kind": "jinja", "template": "{{"}}, "resolved"),
        ("{no", {"n": 1}, "not JSON"),
        ('{"type": 7}', {"n": 1}, "not a JSON Schema"),
        ("[]", {"n": 1}, "not an object"),
        (None, {"n": 1}, "not there"),
    ],
)
async def test_an_input_that_does_not_fit_is_refused_and_the_run_waits_on(
    api: Api, schema: str | None, given: Any, why: str
) -> None:
    run = await paused(api, schema=schema, run_input_keyset=KEYSET)
    body = {} if given is None else {"run_input": given}
    status, answer = await resumed(api, run, body)
    assert (status, answer["status"]) == (200, "REJECT")
    assert answer["state"]["type"] == "PAUSED"
    assert answer["details"]["type"] == "abort_details"
    assert why in answer["details"]["reason"]
    assert await state_of(api, run) == "Paused"
    found = await api.post(f"/flow_runs/{run}/input/filter", {"prefix": KEYSET["response"]})
    assert found == []


async def test_an_answer_to_the_same_pause_of_an_earlier_try_is_replaced(api: Api) -> None:
    run = await paused(api, schema='{"type": "object"}')
    await api.post(f"/flow_runs/{run}/input", {"key": KEYSET["response"], "value": "{}"})
    assert (await resumed(api, run, {"run_input": {"n": 2}}))[0] == 201
    assert (await api.get(f"/flow_runs/{run}/input/{KEYSET['response']}")) == {"n": 2}
