"""Task runs by REST: created once, renamed, and orchestrated as the contract's rules say."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio


async def running(api: Api, **fields: Json) -> str:
    """The id of a flow run that is running."""
    flow = await api.make_flow(labels={"team": "a"})
    run = await api.make_flow_run(flow, "RUNNING", **fields)
    return str(run["id"])


async def make(api: Api, flow_run_id: str | None, key: str = "0", **fields: Json) -> Json:
    """A new task run."""
    body = {"flow_run_id": flow_run_id, "task_key": "add", "dynamic_key": key, **fields}
    return await api.post("/task_runs/", body)


async def propose(
    api: Api, id: str, type: str, *, status: int = 201, force: bool = False, **state: Json
) -> Json:
    """The answer to a proposed state."""
    body = {"state": {"type": type, **state}, "force": force}
    answer = await api.call("POST", f"/task_runs/{id}/set_state", body)
    assert answer.status_code == status, answer.text
    return answer.json()


def said(answer: Json) -> tuple[str, str]:
    return answer["status"], answer["state"]["name"]


# ------------------------------------------------------------------ creating


async def test_a_task_run_is_created_once_for_its_flow_run_and_keys(api: Api) -> None:
    run = await running(api)
    body = {"flow_run_id": run, "task_key": "add", "dynamic_key": "0", "tags": ["x", "x"]}
    first = await api.call("POST", "/task_runs/", body)
    assert first.status_code == 201
    task = first.json()
    assert (task["state_type"], task["state_name"], task["tags"]) == ("PENDING", "Pending", ["x"])
    assert "-" in task["name"]
    again = await api.call(
        "POST", "/task_runs/", body | {"state": {"type": "RUNNING"}, "id": str(uuid4())}
    )
    assert (again.status_code, again.json()["id"]) == (200, task["id"])
    assert again.json()["state_type"] == "PENDING"
    other = await make(api, run, "1", state={"type": "RUNNING"}, name="mine")
    assert (other["name"], other["run_count"]) == ("mine", 1)
    assert other["start_time"] is not None
    assert await api.post("/task_runs/count", {"task_runs": {"tags": {"all_": ["x"]}}}) == 1
    [state] = await api.get("/task_run_states/", task_run_id=task["id"])
    assert state == task["state"]
    assert state["state_details"]["task_run_id"] == task["id"]
    assert state["state_details"]["flow_run_id"] == run


async def test_a_task_run_without_a_flow_run_is_found_by_its_keys_too(api: Api) -> None:
    task = await make(api, None, state={"type": "SCHEDULED"}, labels={"a": "b"})
    again = await make(api, None)
    assert again["id"] == task["id"]
    assert (task["flow_run_id"], task["labels"]) == (None, {"a": "b"})
    assert (await make(api, await running(api)))["id"] != task["id"]


async def test_labels_come_from_the_flow_run_and_the_last_of_a_name_holds(api: Api) -> None:
    run = await running(api, labels={"who": "flow", "of": "flow"})
    task = await make(api, run, labels={"who": "task"})
    labels = task["labels"]
    assert (labels["who"], labels["of"]) == ("task", "flow")
    assert labels["prefect.flow-run.id"] == run
    assert "prefect.flow.id" in labels


async def test_what_was_said_of_a_task_run_is_kept(api: Api) -> None:
    id = str(uuid4())
    fields: Json = {
        "id": id,
        "cache_key": "k",
        "task_version": "3",
        "empirical_policy": {"retries": 2, "retry_delay": [1, 2.5], "retry_jitter_factor": 0.5},
        "task_inputs": {"x": [{"input_type": "task_run", "id": str(uuid4())}]},
    }
    await make(api, await running(api), **fields)
    task = await api.get(f"/task_runs/{id}")
    assert {k: task[k] for k in fields if k != "empirical_policy"} == {
        k: v for k, v in fields.items() if k != "empirical_policy"
    }
    policy = {"max_retries": 0, "retry_delay_seconds": 0.0} | fields["empirical_policy"]
    assert task["empirical_policy"] == policy


async def test_what_cannot_be_created_says_why(api: Api) -> None:
    body = {"flow_run_id": str(uuid4()), "task_key": "k", "dynamic_key": "0"}
    assert (await api.call("POST", "/task_runs/", body)).status_code == 409
    task = await make(api, None)
    taken = {"id": task["id"], "task_key": "k", "dynamic_key": "other"}
    assert (await api.call("POST", "/task_runs/", taken)).status_code == 409
    assert (await api.call("POST", "/task_runs/", {"task_key": "k"})).status_code == 422


async def test_a_task_run_is_renamed(api: Api) -> None:
    path = f"/task_runs/{(await make(api, None))['id']}"
    await api.patch(path, {"name": "new"})
    await api.patch(path, {})
    assert (await api.get(path))["name"] == "new"
    await api.patch(path, {"name": None})
    assert (await api.get(path))["name"] not in ("new", "", None)
    assert (await api.call("PATCH", f"/task_runs/{uuid4()}", {"name": "x"})).status_code == 404


# ------------------------------------------------------------------ states


async def test_a_task_run_goes_through_its_states(api: Api) -> None:
    run = await running(api)
    id = (await make(api, run))["id"]
    answer = await propose(api, id, "RUNNING")
    assert (said(answer), answer["details"]) == (("ACCEPT", "Running"), {"type": "accept_details"})
    answer = await propose(api, id, "COMPLETED", data={"type": "reference"})
    assert answer["state"]["state_details"]["task_run_id"] == id
    assert answer["state"]["data"] == {"type": "reference"}
    task = await api.get(f"/task_runs/{id}")
    assert (task["state"], task["run_count"]) == (answer["state"], 1)
    assert task["flow_run_run_count"] == 1
    assert (task["start_time"], task["end_time"]) == (
        (await states(api, id))[1]["timestamp"],
        answer["state"]["timestamp"],
    )
    answer = await propose(api, id, "RUNNING", status=200)
    assert said(answer) == ("REJECT", "Completed")
    answer = await propose(api, id, "CRASHED", status=200)
    assert said(answer) == ("ABORT", "Completed")
    assert said(await propose(api, id, "CRASHED", force=True)) == ("ACCEPT", "Crashed")
    assert [s["name"] for s in await states(api, id)] == [
        "Pending", "Running", "Completed", "Crashed",
    ]  # fmt: skip
    missing = await api.call(
        "POST", f"/task_runs/{uuid4()}/set_state", {"state": {"type": "RUNNING"}}
    )
    assert missing.status_code == 404


async def states(api: Api, id: str) -> Any:
    return await api.get("/task_run_states/", task_run_id=id)


async def test_a_task_starts_with_its_flow_run_and_pauses_with_it(api: Api) -> None:
    run = await running(api)
    id = (await make(api, run))["id"]
    timeout = (datetime.now(UTC) + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    paused: Json = {"type": "PAUSED", "state_details": {"pause_timeout": timeout}}
    await api.post(f"/flow_runs/{run}/set_state", {"state": paused})
    answer = await propose(api, id, "RUNNING")
    assert said(answer) == ("REJECT", "NotReady")
    assert answer["state"]["state_details"]["pause_timeout"] == timeout
    flow = await api.make_flow()
    waiting = (await make(api, (await api.make_flow_run(flow))["id"]))["id"]
    assert said(await propose(api, waiting, "RUNNING", status=200)) == ("ABORT", "Pending")


async def test_a_failed_task_is_retried_after_its_delay(api: Api) -> None:
    policy: Json = {"retries": 2, "retry_delay": [30, 90]}
    id = (await make(api, await running(api), empirical_policy=policy))["id"]
    await propose(api, id, "RUNNING")
    answer = await propose(api, id, "FAILED", message="boom")
    assert (said(answer), answer["state"]["message"]) == (("REJECT", "AwaitingRetry"), "boom")
    wait = await propose(api, id, "RUNNING", status=200)
    assert wait["status"] == "WAIT"
    assert 25 <= wait["details"]["delay_seconds"] <= 30
    await propose(api, id, "RUNNING", force=True)
    answer = await propose(api, id, "FAILED")
    due = datetime.fromisoformat(answer["state"]["state_details"]["scheduled_time"])
    assert 80 < (due - datetime.now(UTC)).total_seconds() <= 90
    await propose(api, id, "RUNNING", force=True)
    assert said(await propose(api, id, "FAILED")) == ("ACCEPT", "Failed")


async def test_a_cached_result_is_found_by_its_key_until_it_expires(api: Api) -> None:
    run = await running(api)

    async def start(key: str, **details: Json) -> tuple[str, Json]:
        id = (await make(api, run, key))["id"]
        return id, await propose(api, id, "RUNNING", state_details={"cache_key": "k", **details})

    async def complete(id: str, data: Json, **details: Json) -> None:
        details = {"cache_key": "k", **details}
        await propose(api, id, "COMPLETED", data=data, message="first", state_details=details)

    first, answer = await start("1")
    assert said(answer) == ("ACCEPT", "Running")
    await complete(first, {"type": "reference", "n": 1})
    second, answer = await start("2")
    assert said(answer) == ("REJECT", "Cached")
    assert (answer["state"]["type"], answer["state"]["message"]) == ("COMPLETED", "first")
    assert answer["state"]["data"] == {"type": "reference", "n": 1}
    assert answer["state"]["state_details"]["task_run_id"] == second
    assert (await api.get(f"/task_runs/{second}"))["run_count"] == 0
    third, answer = await start("3", refresh_cache=True)
    assert said(answer) == ("ACCEPT", "Running")
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    await complete(third, {"n": 3}, cache_expiration=soon)
    _, answer = await start("4")
    assert answer["state"]["data"] == {"n": 3}
    fifth, _ = await start("5", refresh_cache=True)
    past = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    await complete(fifth, {"n": 5}, cache_expiration=past)
    _, answer = await start("6")
    assert answer["state"]["data"] == {"n": 3}
    await api.delete(f"/task_runs/{third}")
    _, answer = await start("7")
    assert said(answer) == ("REJECT", "Cached")
    assert answer["state"]["data"] == {"type": "reference", "n": 1}
    await api.delete(f"/task_runs/{first}")
    assert said((await start("8"))[1]) == ("ACCEPT", "Running")


async def test_a_cache_key_may_be_long_but_not_too_long(api: Api) -> None:
    run = await running(api)
    for n, key in enumerate(("ü" * 2000, "x" * 2001)):
        first, second = [(await make(api, run, f"{n}{i}"))["id"] for i in "ab"]
        completed = await propose(api, first, "COMPLETED", state_details={"cache_key": key})
        started = await propose(api, second, "RUNNING", state_details={"cache_key": key})
        assert completed["status"] == ("ACCEPT", "REJECT")[n]
        assert started["state"]["name"] == ("Cached", "Running")[n]
        assert completed["state"]["type"] == "COMPLETED"


async def test_slots_of_tags_are_taken_and_given_back(api: Api) -> None:
    run = await running(api)
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 1})
    first, second = [(await make(api, run, k, tags=["db", "x"]))["id"] for k in "ab"]
    assert said(await propose(api, first, "RUNNING")) == ("ACCEPT", "Running")
    wait = await propose(api, second, "RUNNING", status=200)
    assert (wait["status"], wait["state"]["name"]) == ("WAIT", "Pending")
    assert wait["details"]["delay_seconds"] >= 1
    assert (await api.get("/concurrency_limits/tag/db"))["active_slots"] == [first]
    await propose(api, first, "RUNNING")
    await propose(api, first, "COMPLETED")
    assert said(await propose(api, second, "RUNNING")) == ("ACCEPT", "Running")
    assert (await api.get("/concurrency_limits/tag/db"))["active_slots"] == [second]
    await propose(api, second, "PENDING")
    assert (await api.get("/concurrency_limits/tag/db"))["active_slots"] == []
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 0})
    assert said(await propose(api, second, "RUNNING", status=200)) == ("ABORT", "Pending")
    assert said(await propose(api, second, "RUNNING", force=True)) == ("ACCEPT", "Running")


async def test_a_background_task_run_is_taken_once(api: Api) -> None:
    parameters = str(uuid4())
    scheduled = {
        "type": "SCHEDULED",
        "state_details": {"deferred": True, "task_parameters_id": parameters},
    }
    id = (await make(api, None, state=scheduled))["id"]
    deferred: Json = {"state_details": {"deferred": True}}
    taken = await propose(api, id, "PENDING", **deferred)
    assert taken["state"]["state_details"]["task_parameters_id"] == parameters
    assert said(await propose(api, id, "PENDING", status=200, **deferred)) == ("ABORT", "Pending")
    started = await propose(api, id, "RUNNING", **deferred)
    assert started["state"]["state_details"]["task_parameters_id"] == parameters


async def test_many_at_once_make_one_task_run_and_one_takes_it(api: Api) -> None:
    state = {"type": "SCHEDULED", "state_details": {"deferred": True}}
    made = await asyncio.gather(*(make(api, None, state=state) for _ in range(8)))
    [id] = {task["id"] for task in made}
    body = {"state": {"type": "PENDING", "state_details": {"deferred": True}}}
    path = f"/task_runs/{id}/set_state"
    answers = await asyncio.gather(*(api.post(path, body) for _ in range(8)))
    assert sorted(a["status"] for a in answers) == ["ABORT"] * 7 + ["ACCEPT"]


async def test_many_at_once_share_the_slots_of_a_tag(api: Api) -> None:
    run = await running(api)
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 3})
    ids = [(await make(api, run, str(n), tags=["db"]))["id"] for n in range(8)]
    body = {"state": {"type": "RUNNING"}}
    paths = [f"/task_runs/{id}/set_state" for id in ids]
    answers = await asyncio.gather(*(api.post(path, body) for path in paths))
    assert sorted(a["status"] for a in answers) == ["ACCEPT"] * 3 + ["WAIT"] * 5
    assert len((await api.get("/concurrency_limits/tag/db"))["active_slots"]) == 3


async def test_a_proposal_sent_twice_is_answered_by_its_first_effect(api: Api) -> None:
    id = (await make(api, await running(api)))["id"]
    details: Json = {"state_details": {"transition_id": str(uuid4())}}
    await propose(api, id, "RUNNING", **details)
    assert said(await propose(api, id, "RUNNING", status=200, **details)) == ("REJECT", "Running")
    assert (await api.get(f"/task_runs/{id}"))["run_count"] == 1


# ------------------------------------------------------------------ charts


async def test_outcomes_are_counted_in_twenty_intervals_since_a_start(api: Api) -> None:
    run = await running(api)
    for key, type in (("a", "COMPLETED"), ("b", "FAILED"), ("c", "CRASHED"), ("d", "RUNNING")):
        await make(api, run, key, state={"type": type})
    now = datetime.now(UTC)

    async def counts(**start_time: Any) -> Json:
        wanted = {k: t.isoformat() for k, t in start_time.items()}
        return await api.post(
            "/ui/task_runs/dashboard/counts", {"task_runs": {"start_time": wanted}}
        )

    hour = timedelta(hours=1)
    found = await counts(after_=now - hour)
    assert len(found) == 20
    assert found[-1] == {"completed": 1, "failed": 2}
    assert sum(sum(c.values()) for c in found) == 3
    middle = await counts(after_=now - hour, before_=now + hour)
    assert [i for i, c in enumerate(middle) if c["completed"]] in ([9], [10])
    assert sum(sum(c.values()) for c in await counts(after_=now, before_=now - hour)) == 0
    refused = await api.call("POST", "/ui/task_runs/dashboard/counts", {"task_runs": {}})
    assert refused.status_code == 422


async def test_a_task_run_that_has_not_started_has_no_start_time(api: Api) -> None:
    flow_run = await running(api)
    started = await make(api, flow_run, state={"type": "RUNNING"})
    await make(api, flow_run, "1", state={"type": "PENDING"})
    since = {"start_time": {"after_": "2020-01-01T00:00:00Z"}}
    found = await api.post("/task_runs/filter", {"task_runs": since})
    assert [r["id"] for r in found] == [started["id"]]


async def test_what_stands_for_a_subflow_is_not_counted_as_a_task(api: Api) -> None:
    flow_run = await running(api)
    await make(api, flow_run)
    stand_in = await make(api, flow_run, "1")
    child = await api.make_flow("child")
    await api.make_flow_run(child, parent_task_run_id=stand_in["id"])
    counts = await api.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": [flow_run]})
    assert counts == {flow_run: 1}
