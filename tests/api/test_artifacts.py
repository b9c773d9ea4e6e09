"""Artifacts, and the newest one of each key."""

from typing import Any

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio

MISSING = "00000000-0000-0000-0000-000000000001"


async def make(api: Api, **fields: Any) -> Any:
    return await api.post("/artifacts/", fields)


async def ids(api: Api, path: str = "/artifacts/filter", **body: Any) -> list[str]:
    return [a["id"] for a in await api.post(path, body)]


async def latest(api: Api, **body: Any) -> list[tuple[str, str]]:
    found = await api.post("/artifacts/latest/filter", {"sort": "KEY_ASC", **body})
    return [(c["key"], c["latest_id"]) for c in found]


async def test_an_artifact_comes_back_as_it_was_and_can_be_changed(api: Api) -> None:
    made = await make(
        api, key="k-1", type="table", description="d", data=[{"a": 1.50}], metadata_={"x": "y"}
    )
    assert made["data"] == [{"a": 1.5}]
    assert await api.get(f"/artifacts/{made['id']}") == made
    await api.patch(f"/artifacts/{made['id']}", {"data": "new", "metadata_": None})
    changed = await api.get(f"/artifacts/{made['id']}")
    assert (changed["data"], changed["metadata_"], changed["description"]) == ("new", None, "d")
    newest = await api.get("/artifacts/k-1/latest")
    assert (newest["data"], newest["updated"]) == ("new", changed["updated"])
    await api.delete(f"/artifacts/{made['id']}")
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"data": 1})):
        answer = await api.call(method, f"/artifacts/{made['id']}", body)
        assert answer.status_code == 404
    assert (await api.call("GET", "/artifacts/k-1/latest")).status_code == 404


async def test_a_key_points_to_its_newest_artifact_also_when_that_is_deleted(api: Api) -> None:
    first = await make(api, key="k", data=1)
    second = await make(api, key="k", data=2)
    third = await make(api, key="k", data=3)
    await make(api, data="without key")
    assert await latest(api) == [("k", third["id"])]
    assert (await api.get("/artifacts/k/latest"))["data"] == 3
    await api.delete(f"/artifacts/{first['id']}")
    assert await latest(api) == [("k", third["id"])]
    await api.delete(f"/artifacts/{third['id']}")
    assert await latest(api) == [("k", second["id"])]
    await api.delete(f"/artifacts/{second['id']}")
    assert await latest(api) == []
    again = await make(api, key="k", data=4)
    assert await latest(api) == [("k", again["id"])]


@pytest.mark.parametrize(
    "body",
    [
        {"key": "A b"},
        {"key": "a_b"},
        {"key": "a" * 501},
        {"type": "a\0"},
        {"description": "a\0"},
        {"metadata_": {"x": 1}},
        {"flow_run_id": "x"},
        {"more": 1},
    ],
)
async def test_what_an_artifact_cannot_be_is_refused(api: Api, body: Any) -> None:
    assert (await api.call("POST", "/artifacts/", body)).status_code == 422


async def test_artifacts_are_filtered_by_what_they_have(api: Api) -> None:
    flow = await api.make_flow()
    run = (await api.make_flow_run(flow))["id"]
    one = (await make(api, key="one", type="markdown", flow_run_id=run, task_run_id=MISSING))["id"]
    two = (await make(api, key="two", type="table"))["id"]
    bare = (await make(api))["id"]

    async def found(operator: str = "and_", **criteria: Any) -> list[str]:
        artifacts = {"operator": operator, **criteria}
        page = await ids(api, artifacts=artifacts, sort="CREATED_DESC")
        assert await api.post("/artifacts/count", {"artifacts": artifacts}) == len(page)
        return page

    assert await found() == [bare, two, one]
    assert await found(id={"any_": [one, MISSING]}) == [one]
    assert await found(key={"any_": ["two"]}) == [two]
    assert await found(key={"like_": "O"}) == [two, one]
    assert await found(key={"like_": "%"}) == []
    assert await found(key={"exists_": False}) == [bare]
    assert await found(key={"exists_": True, "any_": ["one"]}) == [one]
    assert await found(type={"not_any_": ["table"]}) == [one]
    assert await found(flow_run_id={"any_": [run]}) == [one]
    assert await found(task_run_id={"any_": [MISSING]}) == [one]
    by_both: Any = {"key": {"any_": ["one"]}, "type": {"any_": ["table"]}}
    assert await found(**by_both) == []
    assert await found("or_", **by_both) == [two, one]
    assert await latest(api, artifacts={"type": {"any_": ["table"]}}) == [("two", two)]
    assert await latest(api, artifacts={"latest_id": {"any_": [one]}}) == [("one", one)]
    assert await latest(api, artifacts={"key": {"like_": "W"}}) == [("two", two)]
    assert await latest(api, artifacts={"key": {"exists_": False}}) == []


async def test_artifacts_are_found_by_their_runs_flows_and_deployments(api: Api) -> None:
    flow = await api.make_flow()
    deployment = (await api.post("/deployments/", {"name": "d", "flow_id": flow}))["id"]
    run = (await api.post(f"/deployments/{deployment}/create_flow_run", {}))["id"]
    ad_hoc = (await api.make_flow_run(flow, name="ad-hoc"))["id"]
    task = await api.post(
        "/task_runs/", {"flow_run_id": ad_hoc, "task_key": "t", "dynamic_key": "0"}
    )
    of_run = await make(api, key="run", flow_run_id=run)
    of_task = await make(api, key="task", flow_run_id=ad_hoc, task_run_id=task["id"])
    await make(api, key="none", flow_run_id=MISSING)

    async def count(**body: Any) -> tuple[int, int]:
        return (
            await api.post("/artifacts/count", body),
            await api.post("/artifacts/latest/count", body),
        )

    assert await count() == (3, 3)
    assert await count(flow_runs={}) == (2, 2)
    assert await count(flows={"name": {"any_": ["hello"]}}) == (2, 2)
    assert await count(flows={"name": {"any_": ["other"]}}) == (0, 0)
    assert await count(deployments={}) == (1, 1)
    assert await count(task_runs={}) == (1, 1)
    assert await ids(api, deployments={}) == [of_run["id"]]
    assert await ids(api, flow_runs={"name": {"any_": ["ad-hoc"]}}) == [of_task["id"]]
    # artifacts outlive their runs
    await api.delete(f"/flow_runs/{run}")
    assert await count() == (3, 3)


async def test_artifacts_are_sorted_and_paged(api: Api) -> None:
    made = {key: (await make(api, key=key))["id"] for key in ("b", "a")}
    bare = (await make(api))["id"]
    await api.patch(f"/artifacts/{made['b']}", {"data": 1})
    assert await ids(api, sort="KEY_ASC") == [bare, made["a"], made["b"]]
    assert await ids(api, sort="KEY_DESC") == [made["b"], made["a"], bare]
    assert await ids(api, sort="CREATED_DESC") == [bare, made["a"], made["b"]]
    assert await ids(api, sort="UPDATED_DESC") == [made["b"], bare, made["a"]]
    assert await ids(api) == [bare, made["a"], made["b"]]
    assert await ids(api, limit=1, offset=1) == [made["a"]]
    assert await ids(api, limit=0) == []
    for sort in ("CREATED_DESC", "ID_DESC", "KEY_ASC"):
        assert [key for key, _ in await latest(api, sort=sort)] == ["a", "b"]
    for sort in ("KEY_DESC", "UPDATED_DESC"):
        assert [key for key, _ in await latest(api, sort=sort)] == ["b", "a"]
