"""Task runs as they are read: one, lists, counts, histories, states."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from penstock.core.ids import new_id
from penstock.core.states import StateType, make_state
from penstock.server.app import Server
from penstock.store.task_runs import (
    insert_states_once,
    replace_task_run_tags,
    task_run_values,
    task_state_values,
    upsert_task_runs,
)
from penstock.store.transaction import Transaction
from tests.api.calls import Api

pytestmark = pytest.mark.anyio


def insert_task_run(
    tx: Transaction, flow_run_id: UUID | None, name: str, type: StateType, now: datetime
) -> UUID:
    id, state = new_id(now), make_state(type, now)
    said: dict[str, Any] = {
        "name": name, "flow_run_id": flow_run_id, "task_key": "k", "dynamic_key": name,
        "state_id": state.id, "state_type": type.value, "state_name": state.name,
        "state_timestamp": now, "expected_start_time": now, "tags": f'["{name}"]',
    }  # fmt: skip
    upsert_task_runs(tx, [task_run_values(None, id, said, now)])
    insert_states_once(tx, [task_state_values(state, flow_run_id or id, id)])
    replace_task_run_tags(tx, [(id, [], [name])])
    return id


async def make(server: Server, run_id: str | None, name: str, type: StateType) -> str:
    assert server.database is not None
    flow_run_id = None if run_id is None else UUID(run_id)
    insert = partial(
        insert_task_run, flow_run_id=flow_run_id, name=name, type=type, now=datetime.now(UTC)
    )
    return str(await server.database.write(insert))


async def test_task_runs_are_listed_by_their_own_and_their_flow_runs_criteria(
    api: Api, server: Server
) -> None:
    run = await api.make_flow_run(await api.make_flow(), "RUNNING", name="parent")
    first = await make(server, run["id"], "a", StateType.COMPLETED)
    second = await make(server, run["id"], "b", StateType.RUNNING)
    alone = await make(server, None, "c", StateType.PENDING)

    async def found(**body: Any) -> list[str]:
        runs = await api.post("/task_runs/filter", body | {"sort": "NAME_ASC"})
        assert await api.post("/task_runs/count", body) == len(runs)
        return [r["id"] for r in runs]

    assert await found() == [first, second, alone]
    assert await found(task_runs={"flow_run_id": {"any_": [run["id"]]}}) == [first, second]
    assert await found(task_runs={"flow_run_id": {}}) == [first, second]
    assert await found(task_runs={"flow_run_id": {"is_null_": True}}) == [alone]
    assert await found(task_runs={"state": {"type": {"any_": ["RUNNING"]}}}) == [second]
    assert await found(task_runs={"tags": {"all_": ["a"]}}) == [first]
    assert await found(task_runs={"name": {"like_": "C"}}) == [alone]
    assert await found(task_runs={"subflow_runs": {"exists_": True}}) == []
    assert await found(flow_runs={"id": {"any_": [run["id"]]}}) == [first, second]
    assert await found(flow_runs={"name": {"like_": "par"}}) == [first, second]
    assert await found(flows={"name": {"any_": ["hello"]}}) == [first, second]
    assert await found(deployments={}) == []
    runs = await api.post("/flow_runs/filter", {"task_runs": {"name": {"any_": ["a"]}}})
    assert [r["id"] for r in runs] == [run["id"]]
    assert await api.post("/flows/count", {"task_runs": {"name": {"any_": ["a"]}}}) == 1
    counts = await api.post("/ui/task_runs/count")
    assert (counts["COMPLETED"], counts["RUNNING"], counts["FAILED"]) == (1, 1, 0)


async def test_a_task_run_is_read_with_its_state_and_deleted_with_its_history(
    api: Api, server: Server
) -> None:
    run = await api.make_flow_run(await api.make_flow(), "RUNNING", name="parent")
    id = await make(server, run["id"], "a", StateType.RUNNING)
    task = await api.get(f"/task_runs/{id}")
    assert task["state"]["state_details"]["flow_run_id"] == run["id"]
    assert task["state"]["state_details"]["task_run_id"] == id
    assert task["empirical_policy"]["max_retries"] == 0
    assert (await api.get(f"/ui/task_runs/{id}"))["flow_run_name"] == "parent"
    [state] = await api.get("/task_run_states/", task_run_id=id)
    assert await api.get(f"/task_run_states/{state['id']}") == state
    page = await api.post("/task_runs/paginate", {"limit": 1})
    assert (page["count"], page["pages"], page["results"][0]["id"]) == (1, 1, id)
    now = datetime.now(UTC)
    body = {
        "history_start": (now - timedelta(minutes=1)).isoformat(),
        "history_end": (now + timedelta(minutes=1)).isoformat(),
        "history_interval_seconds": 120,
    }
    [interval] = await api.post("/task_runs/history", body)
    assert [s["count_runs"] for s in interval["states"]] == [1]
    await api.delete(f"/task_runs/{id}")
    assert await api.get("/task_run_states/", task_run_id=id) == []
    states = await api.get("/flow_run_states/", flow_run_id=run["id"])
    assert [s["type"] for s in states] == ["RUNNING"]


async def test_a_deleted_flow_run_takes_its_task_runs_with_it(api: Api, server: Server) -> None:
    run = await api.make_flow_run(await api.make_flow(), "RUNNING")
    id = await make(server, run["id"], "a", StateType.RUNNING)
    await api.delete(f"/flow_runs/{run['id']}")
    assert (await api.call("GET", f"/task_runs/{id}")).status_code == 404
    assert await api.get("/task_run_states/", task_run_id=id) == []
