"""Retention: what is old or too large goes, all that belongs to it too, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock.server.app import Server
from penstock.services.retention import (
    Keep,
    keep_of,
    prune_artifacts,
    prune_artifacts_beyond,
    prune_runs,
    retention_loop,
)
from penstock.store.segments import EVENTS, LOGS, forget_segments_beyond
from tests.api.calls import Api

pytestmark = pytest.mark.anyio


def later(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def prune(server: Server, days: float = 1) -> int:
    assert server.database is not None
    return await prune_runs(server.database, later(days), datetime.now(UTC))


async def left(api: Api) -> set[str]:
    return {run["name"] for run in await api.post("/flow_runs/filter")}


async def make_task(api: Api, run: str, key: str = "t") -> str:
    body = {"flow_run_id": run, "task_key": key, "dynamic_key": "0", "tags": ["x"]}
    return str((await api.post("/task_runs/", body))["id"])


async def test_ended_runs_go_with_all_that_belongs_to_them(api: Api, server: Server) -> None:
    flow = await api.make_flow()
    old = (await api.make_flow_run(flow, "COMPLETED", name="old", tags=["t"]))["id"]
    await make_task(api, old)
    await api.post(f"/flow_runs/{old}/input", {"key": "k", "value": "1"})
    await api.post("/artifacts/", {"key": "a", "flow_run_id": old})
    for type in ("RUNNING", "SCHEDULED", "PENDING"):
        await api.make_flow_run(flow, type, name=type)
    assert await prune(server, days=-1) == 0  # ended only now
    assert await prune(server) == 1
    assert await left(api) == {"RUNNING", "SCHEDULED", "PENDING"}
    assert await api.post("/task_runs/count") == 0
    assert await api.post("/artifacts/latest/count") == 0
    assert await api.get("/flow_run_states/", flow_run_id=old) == []
    assert await api.post("/flow_runs/count", {"flow_runs": {"tags": {"all_": ["t"]}}}) == 0


async def test_a_tree_of_runs_goes_as_a_whole_once_all_of_it_has_ended(
    api: Api, server: Server
) -> None:
    flow = await api.make_flow()
    root = (await api.make_flow_run(flow, "COMPLETED", name="root"))["id"]
    child = await api.make_flow_run(
        flow, "COMPLETED", name="child", parent_task_run_id=await make_task(api, root)
    )
    inner = await api.make_flow_run(
        flow, "RUNNING", name="inner", parent_task_run_id=await make_task(api, child["id"])
    )
    await api.make_flow_run(flow, "FAILED", name="alone")
    assert await prune(server) == 1
    assert await left(api) == {"root", "child", "inner"}
    state = {"state": {"type": "CANCELLED"}, "force": True}
    await api.post(f"/flow_runs/{inner['id']}/set_state", state)
    assert await prune(server) == 1
    assert await left(api) == set()


async def test_a_run_whose_parent_was_deleted_is_pruned_by_itself(api: Api, server: Server) -> None:
    flow = await api.make_flow()
    parent = (await api.make_flow_run(flow, "COMPLETED"))["id"]
    task = await make_task(api, parent)
    await api.make_flow_run(flow, "COMPLETED", name="orphan", parent_task_run_id=task)
    await api.delete(f"/flow_runs/{parent}")
    assert await prune(server) == 1
    assert await left(api) == set()


async def test_a_pruned_run_keeps_its_idempotency_key_a_deleted_one_does_not(
    api: Api, server: Server
) -> None:
    flow = await api.make_flow()
    for key in ("pruned", "deleted"):
        await api.make_flow_run(flow, "COMPLETED", idempotency_key=key)
    found = await api.post(
        "/flow_runs/filter", {"flow_runs": {"idempotency_key": {"any_": ["deleted"]}}}
    )
    await api.delete(f"/flow_runs/{found[0]['id']}")
    assert await prune(server) == 1
    replay = {"flow_id": flow, "idempotency_key": "pruned"}
    refused = await api.call("POST", "/flow_runs/", replay)
    assert refused.status_code == 409
    assert "retention has removed" in refused.json()["detail"]
    again = await api.call("POST", "/flow_runs/", replay | {"idempotency_key": "deleted"})
    assert again.status_code == 201


async def test_old_artifacts_go_and_so_do_the_oldest_of_too_many_bytes(
    api: Api, server: Server
) -> None:
    db, now = server.database, datetime.now(UTC)
    assert db is not None
    for i in range(4):
        await api.post("/artifacts/", {"key": "k", "data": "é" * 49})  # 100 bytes of JSON each
        await api.post("/artifacts/", {"key": f"k{i}"})
    assert await prune_artifacts_beyond(db, 400, now) == 0
    # 50 bytes too many: the oldest artifact alone is enough
    assert await prune_artifacts_beyond(db, 350, now) == 1
    assert await prune_artifacts_beyond(db, 100, now) == 4
    assert await api.post("/artifacts/count") == 3
    assert await api.post("/artifacts/latest/count") == 3
    assert await prune_artifacts(db, now - timedelta(days=1), now) == 0
    assert await prune_artifacts(db, later(1), now) == 3
    assert await api.post("/artifacts/latest/count") == 0


async def test_days_of_logs_beyond_their_bytes_go_but_never_today(api: Api, server: Server) -> None:
    logs, now = server.state.streams.logs, datetime.now(UTC)
    for days in (2, 1, 0):
        await logs.prepare(now - timedelta(days=days))
        await logs.write(lambda tx: None, now - timedelta(days=days))
    today = now.year * 10_000 + now.month * 100 + now.day
    assert today in await logs.sizes()
    assert await forget_segments_beyond(logs, now, 10**12) == 0
    await forget_segments_beyond(logs, now, 0)
    assert min(await logs.sizes()) == today


async def test_nothing_but_logs_and_events_is_forgotten_unless_told_so(
    api: Api, server: Server
) -> None:
    await api.make_flow_run(await api.make_flow(), "COMPLETED")
    await api.post("/artifacts/", {"key": "k"})
    db = server.database
    assert db is not None
    streams = server.state.streams
    assert await retention_loop(streams, Keep()).run_once(db, later(10)) >= 0
    assert await api.post("/flow_runs/count") == await api.post("/artifacts/count") == 1
    keep = Keep(runs_days=9, artifacts_days=9, artifacts_bytes=10**9, logs_bytes=10**12)
    assert await retention_loop(streams, keep).run_once(db, later(10)) >= 2
    assert await api.post("/flow_runs/count") == await api.post("/artifacts/count") == 0


def test_what_is_kept_is_read_from_the_environment() -> None:
    assert keep_of({}) == Keep(logs_days=LOGS.retention_days, events_days=EVENTS.retention_days)
    given = {"PENSTOCK_SERVER_KEEP_RUNS_DAYS": "90", "PENSTOCK_SERVER_KEEP_LOGS_BYTES": " 5 "}
    assert keep_of(given) == Keep(runs_days=90, logs_bytes=5)
    for bad in ("-1", "x", "1.5"):
        with pytest.raises(ValueError, match="PENSTOCK_SERVER_KEEP_RUNS_DAYS"):
            keep_of({"PENSTOCK_SERVER_KEEP_RUNS_DAYS": bad})
