"""The task run that stands for a subflow follows the subflow's run."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio


async def parent_task_run(api: Api, flow_run: str, occurred: datetime) -> str:
    id = str(uuid4())
    related = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run}",
        "prefect.resource.role": "flow-run",
    }
    event = {
        "id": str(uuid4()),
        "occurred": occurred.isoformat(),
        "event": "prefect.task-run.Pending",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{id}",
            "prefect.orchestration": "client",
        },
        "related": [related],
        "payload": {
            "validated_state": {"type": "PENDING"},
            "task_run": {"name": "sub", "task_key": "sub", "dynamic_key": "0"},
        },
    }
    await api.post("/events", [event])
    return id


async def history(api: Api, task_run: str) -> list[Json]:
    found: list[Json] = await api.get("/task_run_states/", task_run_id=task_run)
    return found


# a client's clock may be behind or ahead
@pytest.mark.parametrize("ahead", [timedelta(seconds=-5), timedelta(hours=1)])
async def test_every_state_of_a_subflow_run_is_one_of_its_task_run(
    api: Api, ahead: timedelta
) -> None:
    flow = await api.make_flow()
    outer = (await api.make_flow_run(flow, "RUNNING"))["id"]
    parent = await parent_task_run(api, outer, datetime.now(UTC) + ahead)
    child = (await api.make_flow_run(flow, parent_task_run_id=parent))["id"]
    for state in ("RUNNING", {"type": "FAILED", "name": "TimedOut", "message": "slow"}):
        body = {"state": {"type": state} if isinstance(state, str) else state}
        answer = await api.post(f"/flow_runs/{child}/set_state", body)
        assert answer["state"]["state_details"]["task_run_id"] == parent
    states = await history(api, parent)
    assert [s["type"] for s in states] == ["PENDING", "PENDING", "RUNNING", "FAILED"]
    assert (states[-1]["name"], states[-1]["message"]) == ("TimedOut", "slow")
    assert {s["state_details"]["child_flow_run_id"] for s in states[1:]} == {child}
    assert {s["state_details"]["flow_run_id"] for s in states} == {outer}
    run = await api.get(f"/task_runs/{parent}")
    assert (run["state_type"], run["run_count"]) == ("FAILED", 1)
    assert run["start_time"] is not None
    assert run["end_time"] is not None


async def test_a_subflow_without_its_task_run_goes_its_way(api: Api) -> None:
    run = await api.make_flow_run(await api.make_flow(), parent_task_run_id=str(uuid4()))
    answer = await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}})
    assert answer["status"] == "ACCEPT"


async def test_runs_made_many_at_once_are_followed_too(api: Api) -> None:
    flow = await api.make_flow()
    outer = (await api.make_flow_run(flow, "RUNNING"))["id"]
    parent = await parent_task_run(api, outer, datetime.now(UTC))
    deployment = (await api.post("/deployments/", {"name": "d", "flow_id": flow}))["id"]
    bodies = [{"parent_task_run_id": parent, "idempotency_key": "k"}, {}]
    path = f"/deployments/{deployment}/create_flow_run/bulk"
    for _ in range(2):  # the second time the runs are there
        first, _ = (await api.post(path, bodies))["results"]
    assert [s["type"] for s in await history(api, parent)] == ["PENDING", "SCHEDULED"]
    run = await api.get(f"/task_runs/{parent}")
    assert run["state"]["state_details"]["child_flow_run_id"] == first["flow_run_id"]


async def test_subflows_of_subflows_are_followed_each_by_its_own(api: Api) -> None:
    flow = await api.make_flow()
    outer = (await api.make_flow_run(flow, "RUNNING"))["id"]
    tasks, runs = [], [outer]
    for n in range(2):
        keys = {"flow_run_id": runs[-1], "task_key": "sub", "dynamic_key": str(n)}
        tasks.append((await api.post("/task_runs/", keys))["id"])
        child = await api.make_flow_run(flow, "RUNNING", parent_task_run_id=tasks[-1])
        runs.append(child["id"])
    failed = {"state": {"type": "FAILED"}}
    await api.post(f"/flow_runs/{runs[2]}/set_state", failed)
    assert [(await api.get(f"/task_runs/{t}"))["state_type"] for t in tasks] == [
        "RUNNING", "FAILED",
    ]  # fmt: skip
    await api.post(f"/flow_runs/{runs[1]}/set_state", failed)
    assert (await api.get(f"/task_runs/{tasks[0]}"))["state_type"] == "FAILED"
