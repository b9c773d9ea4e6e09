"""Changing and deleting flow runs and flows, one or several."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio


async def test_only_what_was_sent_of_a_run_changes(api: Api) -> None:
    flow = await api.make_flow()
    run = await api.make_flow_run(flow, "RUNNING", name="a", tags=["x", "y"], parameters={"n": 1})
    changes = {"tags": ["y", "z"], "infrastructure_pid": "7", "empirical_policy": {"retries": 2}}
    await api.patch(f"/flow_runs/{run['id']}", changes)
    changed = await api.get(f"/flow_runs/{run['id']}")
    assert (changed["name"], changed["parameters"]) == ("a", {"n": 1})
    assert (changed["tags"], changed["infrastructure_pid"]) == (["y", "z"], "7")
    assert changed["empirical_policy"]["retries"] == 2
    for tag, runs in (("x", 0), ("y", 1), ("z", 1)):
        count = await api.post("/flow_runs/count", {"flow_runs": {"tags": {"all_": [tag]}}})
        assert count == runs
    await api.patch(f"/flow_runs/{run['id']}", {"name": None})
    assert (await api.get(f"/flow_runs/{run['id']}"))["name"] not in ("a", "", None)


async def test_job_variables_change_only_while_a_deployments_run_is_scheduled(api: Api) -> None:
    flow = await api.make_flow()
    deployment = await api.post("/deployments/", {"name": "d", "flow_id": flow})
    run = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    change = {"job_variables": {"env": {"A": "1"}}}
    await api.patch(f"/flow_runs/{run['id']}", change)
    assert (await api.get(f"/flow_runs/{run['id']}"))["job_variables"] == {"env": {"A": "1"}}
    await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "PENDING"}})
    adhoc = await api.make_flow_run(flow, "SCHEDULED")
    for other in (run, adhoc):
        answer = await api.call("PATCH", f"/flow_runs/{other['id']}", change)
        assert answer.status_code == 400


async def test_labels_are_merged(api: Api) -> None:
    run = await api.make_flow_run(await api.make_flow(), labels={"a": 1, "b": 2})
    await api.patch(f"/flow_runs/{run['id']}/labels", {"b": "two", "c": True})
    labels = (await api.get(f"/flow_runs/{run['id']}"))["labels"]
    assert labels == run["labels"] | {"b": "two", "c": True}


async def test_a_deleted_run_is_gone_and_frees_its_key(api: Api) -> None:
    flow = await api.make_flow()
    run = await api.make_flow_run(flow, "COMPLETED", idempotency_key="key", tags=["a"])
    await api.delete(f"/flow_runs/{run['id']}")
    assert (await api.call("GET", f"/flow_runs/{run['id']}")).status_code == 404
    assert await api.get("/flow_run_states/", flow_run_id=run["id"]) == []
    assert await api.post("/flow_runs/count", {"flow_runs": {"tags": {"any_": ["a"]}}}) == 0
    again = await api.make_flow_run(flow, "COMPLETED", idempotency_key="key")
    assert again["id"] != run["id"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/flow_runs/{id}", {"name": "x"}),
        ("PATCH", "/flow_runs/{id}/labels", {"a": 1}),
        ("DELETE", "/flow_runs/{id}", None),
        ("GET", "/flow_runs/{id}", None),
        ("GET", "/flow_run_states/{id}", None),
        ("GET", "/task_runs/{id}", None),
        ("DELETE", "/task_runs/{id}", None),
        ("GET", "/task_run_states/{id}", None),
        ("GET", "/ui/task_runs/{id}", None),
        ("GET", "/flows/{id}", None),
        ("DELETE", "/flows/{id}", None),
    ],
)
async def test_what_is_not_there_is_404(api: Api, method: str, path: str, body: Any) -> None:
    answer = await api.call(method, path.format(id=uuid4()), body)
    assert answer.status_code == 404
    assert answer.json()["detail"]


async def test_many_runs_are_deleted_by_a_filter(api: Api) -> None:
    flow = await api.make_flow()
    done = [await api.make_flow_run(flow, "COMPLETED") for _ in range(3)]
    kept = await api.make_flow_run(flow, "RUNNING")
    body = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    deleted = (await api.post("/flow_runs/bulk_delete", body))["deleted"]
    assert set(deleted) == {run["id"] for run in done}
    assert [run["id"] for run in await api.post("/flow_runs/filter")] == [kept["id"]]


async def test_many_runs_change_state_and_each_gets_its_answer(api: Api) -> None:
    flow = await api.make_flow()
    ended = await api.make_flow_run(flow, "COMPLETED")
    running = await api.make_flow_run(flow, "RUNNING")
    body = {"flow_runs": {}, "state": {"type": "CANCELLING"}}
    results = (await api.post("/flow_runs/bulk_set_state", body))["results"]
    answers = {r["flow_run_id"]: (r["status"], r["state"]["type"]) for r in results}
    assert answers == {
        ended["id"]: ("ABORT", "COMPLETED"),
        running["id"]: ("ACCEPT", "CANCELLING"),
    }


@pytest.mark.parametrize("path", ["/flow_runs/bulk_delete", "/flows/bulk_delete"])
async def test_bulk_operations_take_fifty_at_most_and_only_filters_they_know(
    api: Api, path: str
) -> None:
    for body in ({"limit": 51}, {"limit": 0}, {"flow_rums": {}}):
        assert (await api.call("POST", path, body)).status_code == 422


async def test_the_states_of_a_run_are_read_oldest_first(api: Api) -> None:
    run = await api.make_flow_run(await api.make_flow(), "PENDING")
    await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}})
    states = await api.get("/flow_run_states/", flow_run_id=run["id"])
    assert [s["type"] for s in states] == ["PENDING", "RUNNING"]
    assert await api.get(f"/flow_run_states/{states[0]['id']}") == states[0]
    assert (await api.call("GET", "/flow_run_states/")).status_code == 422


async def test_deleting_a_flow_deletes_its_deployments_and_runs(api: Api) -> None:
    flow, other = await api.make_flow(), await api.make_flow("other")
    deployment = await api.post("/deployments/", {"name": "d", "flow_id": flow})
    run = await api.post(f"/deployments/{deployment['id']}/create_flow_run")
    for _ in range(51):  # more than one part
        await api.make_flow_run(flow)
    kept = await api.make_flow_run(other)
    await api.delete(f"/flows/{flow}")
    assert [r["id"] for r in await api.post("/flow_runs/filter")] == [kept["id"]]
    gone = f"/deployments/{deployment['id']}"
    assert (await api.call("GET", gone)).status_code == 404
    assert await api.get("/flow_run_states/", flow_run_id=run["id"]) == []
    deleted = await api.post("/flows/bulk_delete", {"flows": {"name": {"like_": "OTH"}}})
    assert deleted == {"deleted": [other]}
    assert await api.post("/flows/count") == 0
