"""Lists and counts of flow runs: every filter, every order, pages, histories."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


def scheduled(at: datetime) -> dict[str, Any]:
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}


async def make_runs(api: Api) -> dict[str, Any]:
    """Seven runs of two flows, by name."""
    now = datetime.now(UTC)
    first, second = await api.make_flow("first"), await api.make_flow("second", tags=["x"])
    deployment = await api.post("/deployments/", {"name": "nightly", "flow_id": first})
    runs = {
        "late": await api.make_flow_run(first, scheduled(now - HOUR), name="late"),
        "later": await api.make_flow_run(first, scheduled(now + HOUR), name="later"),
        "Running": await api.make_flow_run(first, "RUNNING", name="Running", flow_version="v1"),
        "done": await api.make_flow_run(
            second, "COMPLETED", name="done", tags=["a", "b"], idempotency_key="key"
        ),
        "pending": await api.make_flow_run(second, "PENDING", name="pending", tags=["a"]),
        "100%": await api.make_flow_run(second, "FAILED", name="100%"),
        "nightly": await api.post(
            f"/deployments/{deployment['id']}/create_flow_run", {"name": "nightly"}
        ),
    }
    return runs | {"deployment": deployment["id"], "flows": [first, second]}


async def names(api: Api, **body: Any) -> list[str]:
    """The names that a list gives, in order of name; the count must say the same number."""
    body.setdefault("sort", "NAME_ASC")
    found = [run["name"] for run in await api.post("/flow_runs/filter", body)]
    assert await api.post("/flow_runs/count", body) == len(found)
    for sort in ("ID_DESC", "EXPECTED_START_TIME_DESC", "START_TIME_ASC", "END_TIME_DESC"):
        other = await api.post("/flow_runs/filter", body | {"sort": sort})
        assert sorted(run["name"] for run in other) == sorted(found), sort
    return found


async def test_each_criterion_of_flow_runs_chooses_its_runs(api: Api) -> None:
    made = await make_runs(api)
    now = datetime.now(UTC)

    async def found(**criteria: Any) -> list[str]:
        return await names(api, flow_runs=criteria)

    everyone = ["100%", "Running", "done", "late", "later", "nightly", "pending"]
    ids = {name: made[name]["id"] for name in everyone}
    assert sorted(await found()) == sorted(everyone)
    assert await found(id={"any_": [ids["done"], ids["late"]]}) == ["done", "late"]
    assert await found(id={"any_": []}) == []
    assert "done" not in await found(id={"not_any_": [ids["done"]]})
    assert await found(name={"any_": ["done", "nobody"]}) == ["done"]
    assert await found(name={"like_": "RUN"}) == ["Running"]
    assert await found(name={"like_": "%"}) == ["100%"]
    assert await found(name={"like_": "_"}) == []
    assert await found(tags={"all_": ["a", "b"]}) == ["done"]
    assert await found(tags={"all_": ["a"]}) == ["done", "pending"]
    assert await found(tags={"any_": ["b", "c"]}) == ["done"]
    assert len(await found(tags={"is_null_": True})) == 5
    assert await found(tags={"is_null_": False}) == ["done", "pending"]
    assert await found(tags={"operator": "or_", "all_": ["a", "b"], "is_null_": False}) == [
        "done",
        "pending",
    ]
    assert await found(deployment_id={"any_": [made["deployment"]]}) == ["nightly"]
    assert len(await found(deployment_id={"is_null_": True})) == 6
    both = {"operator": "or_", "any_": [made["deployment"]], "is_null_": True}
    assert len(await found(deployment_id=both)) == 7
    assert await found(state={"type": {"any_": ["SCHEDULED"]}}) == ["late", "later", "nightly"]
    assert await found(state={"type": {"not_any_": ["SCHEDULED", "FAILED"]}}) == [
        "Running",
        "done",
        "pending",
    ]
    assert await found(state={"name": {"any_": ["Completed"]}}) == ["done"]
    assert "pending" not in await found(state={"name": {"not_any_": ["Pending"]}})
    assert await found(flow_version={"any_": ["v1"]}) == ["Running"]
    assert await found(idempotency_key={"any_": ["key"]}) == ["done"]
    assert await found(idempotency_key={"not_any_": ["other"]}) == ["done"]
    assert await found(end_time={"is_null_": False}) == ["100%", "done"]
    assert await found(end_time={"before_": now.isoformat()}) == ["100%", "done"]
    assert await found(start_time={"is_null_": False}) == ["100%", "Running", "done"]
    soon, before = (now + HOUR / 2).isoformat(), (now - HOUR / 2).isoformat()
    assert await found(start_time={"after_": soon}) == ["later"]
    assert await found(start_time={"before_": before}) == ["late"]
    assert await found(expected_start_time={"before_": before}) == ["late"]
    assert await found(expected_start_time={"after_": before, "before_": before}) == []
    assert await found(next_scheduled_start_time={"after_": soon}) == ["later"]
    assert await found(parent_task_run_id={"any_": [str(uuid4())]}) == []
    assert len(await found(parent_task_run_id={"is_null_": True})) == 7
    assert await found(parent_flow_run_id={"any_": [ids["done"]]}) == []
    assert await found(work_queue_name={"any_": ["default"]}) == []
    assert len(await found(work_queue_name={"is_null_": True})) == 7
    assert len(await found(created_by={"is_null_": True})) == 7
    assert await found(created_by={"id_": [str(uuid4())], "type_": ["SCHEDULE"]}) == []
    either = {"name": {"any_": ["late"]}, "state": {"type": {"any_": ["PENDING"]}}}
    assert await found(operator="or_", **either) == ["late", "pending"]
    assert await found(**either) == []


async def test_runs_are_chosen_by_what_belongs_to_them(api: Api) -> None:
    made = await make_runs(api)
    assert await names(api, flows={"name": {"any_": ["second"]}}) == ["100%", "done", "pending"]
    assert await names(api, flows={"tags": {"all_": ["x"]}}) == ["100%", "done", "pending"]
    assert len(await names(api, flows={"id": {"any_": made["flows"]}})) == 7
    assert len(await names(api, flows={"deployment": {"is_null_": False}})) == 4
    assert await names(api, deployments={"name": {"like_": "night"}}) == ["nightly"]
    assert await names(api, deployments={}) == ["nightly"]
    assert await names(api, task_runs={}) == []
    assert await names(api, task_runs={"id": {"any_": [str(uuid4())]}}) == []
    assert await names(api, work_pools={}) == []
    assert await names(api, work_pool_queues={"name": {"startswith_": ["d"]}}) == []
    assert await names(
        api, flows={"name": {"like_": "SEC"}}, flow_runs={"state": {"type": {"any_": ["FAILED"]}}}
    ) == ["100%"]


async def test_each_order_puts_runs_as_its_name_says(api: Api) -> None:
    await make_runs(api)

    async def order(sort: str) -> list[str]:
        return [r["name"] for r in await api.post("/flow_runs/filter", {"sort": sort})]

    by_expected = await order("EXPECTED_START_TIME_ASC")
    assert (by_expected[0], by_expected[-1]) == ("late", "later")
    assert await order("EXPECTED_START_TIME_DESC") == by_expected[::-1]
    by_start = await order("START_TIME_ASC")
    assert by_start == by_expected
    assert await order("START_TIME_DESC") == by_start[::-1]
    by_name = ["100%", "Running", "done", "late", "later", "nightly", "pending"]
    assert await order("NAME_ASC") == by_name
    assert await order("NAME_DESC") == by_name[::-1]
    assert (await order("NEXT_SCHEDULED_START_TIME_ASC"))[:3] == ["late", "nightly", "later"]
    assert (await order("END_TIME_DESC"))[:2] == ["100%", "done"]
    ids = [r["id"] for r in await api.post("/flow_runs/filter")]
    assert ids == sorted(ids, reverse=True)


async def test_a_list_holds_what_reading_each_run_gives(api: Api) -> None:
    await make_runs(api)
    for run in await api.post("/flow_runs/filter"):
        alone = await api.get(f"/flow_runs/{run['id']}")
        changing = {"estimated_run_time", "estimated_start_time_delta"}
        assert {k: v for k, v in run.items() if k not in changing} == {
            k: v for k, v in alone.items() if k not in changing
        }


async def test_pages_and_offsets_cut_the_same_list(api: Api) -> None:
    await make_runs(api)
    everyone = [r["id"] for r in await api.post("/flow_runs/filter")]
    offset = await api.post("/flow_runs/filter", {"limit": 2, "offset": 4})
    assert [r["id"] for r in offset] == everyone[4:6]
    page = await api.post("/flow_runs/paginate", {"limit": 2, "page": 3})
    assert [r["id"] for r in page.pop("results")] == everyone[4:6]
    assert page == {"count": 7, "limit": 2, "pages": 4, "page": 3}
    nothing = await api.post("/flow_runs/paginate", {"limit": 0})
    assert nothing == {"results": [], "count": 7, "limit": 0, "pages": 0, "page": 1}


@pytest.mark.parametrize("limit", [-1, 201, 10**30])
async def test_a_limit_out_of_bounds_says_so_in_the_words_clients_look_for(
    api: Api, limit: int
) -> None:
    answer = await api.call("POST", "/flow_runs/filter", {"limit": limit})
    assert answer.status_code == 422
    assert "Invalid limit" in str(answer.json()["detail"])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"sort": "SIDEWAYS"}, "sort"),
        ({"offset": -1}, "offset"),
        ({"flow_runs": {"nmae": {"any_": []}}}, "nmae"),
        ({"flow_runs": {"id": {"any_": ["no id"]}}}, "any_"),
        ({"flow_runs": {"name": {"like_": "\0"}}}, "like_"),
        ({"flow_runs": {"id": {"any_": [str(uuid4())] * 10_001}}}, "any_"),
    ],
)
async def test_a_wrong_filter_is_refused_by_the_name_of_its_field(
    api: Api, body: dict[str, Any], place: str
) -> None:
    answer = await api.call("POST", "/flow_runs/filter", body)
    assert answer.status_code == 422
    assert place in str(answer.json()["detail"][0]["loc"])


async def test_filters_with_more_values_than_a_query_takes_are_refused(api: Api) -> None:
    many = [str(uuid4()) for _ in range(10_000)]
    body = {
        "flow_runs": {"id": {"any_": many, "not_any_": many}, "deployment_id": {"any_": many}},
        "flows": {"id": {"any_": many[:1]}},
    }
    answer = await api.call("POST", "/flow_runs/filter", body)
    assert answer.status_code == 422
    body["flows"] = {}
    del body["flow_runs"]["deployment_id"]
    assert await api.post("/flow_runs/filter", body) == []


async def test_lateness_is_the_average_over_the_runs_chosen(api: Api) -> None:
    await make_runs(api)
    late = {"flow_runs": {"name": {"any_": ["late"]}}}
    assert 3600 <= await api.post("/flow_runs/lateness", late) < 3700
    both = {"flow_runs": {"name": {"any_": ["late", "done"]}}}
    assert 1800 <= await api.post("/flow_runs/lateness", both) < 1850
    assert await api.post("/flow_runs/lateness", {"flow_runs": {"id": {"any_": []}}}) is None


async def test_a_history_counts_runs_by_interval_and_state(api: Api) -> None:
    await make_runs(api)
    now = datetime.now(UTC)
    body: dict[str, Any] = {
        "history_start": (now - 1.5 * HOUR).isoformat(),
        "history_end": (now + 1.5 * HOUR).isoformat(),
        "history_interval_seconds": 3600,
    }
    history = await api.post("/flow_runs/history", body)
    assert [sum(s["count_runs"] for s in i["states"]) for i in history] == [1, 5, 1]
    [late] = history[0]["states"]
    assert (late["state_type"], late["state_name"]) == ("SCHEDULED", "Scheduled")
    assert 3600 <= late["sum_estimated_lateness"] < 3700
    running = next(s for s in history[1]["states"] if s["state_type"] == "RUNNING")
    assert 0 < running["sum_estimated_run_time"] < 100
    assert await api.post("/flow_runs/history", body | {"history_end": body["history_start"]}) == []


@pytest.mark.parametrize(
    ("days", "seconds"), [(1, 60), (1, 0.5), (1, 0), (36500, 1), (1, -5), (1, 3e11)]
)
async def test_a_history_of_too_many_or_too_long_intervals_is_refused(
    api: Api, days: int, seconds: float
) -> None:
    now = datetime.now(UTC)
    body = {
        "history_start": (now - timedelta(days=days)).isoformat(),
        "history_end": now.isoformat(),
        "history_interval_seconds": seconds,
    }
    for path in ("/flow_runs/history", "/task_runs/history"):
        answer = await api.call("POST", path, body)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "history_interval_seconds"]


async def test_charts_of_a_page_get_dots_and_counts(api: Api) -> None:
    made = await make_runs(api)
    dots = await api.post("/ui/flow_runs/history", {"limit": 1, "sort": "EXPECTED_START_TIME_ASC"})
    assert [d["id"] for d in dots] == [made["late"]["id"]]
    assert dots[0]["lateness"] >= 3600
    ids = [made["late"]["id"], made["done"]["id"]]
    counts = await api.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": ids})
    assert counts == dict.fromkeys(ids, 0)
    first, second = made["flows"]
    body = {"flow_ids": [first, second]}
    assert await api.post("/ui/flows/count-deployments", body) == {first: 1, second: 0}
    next_runs = await api.post("/ui/flows/next-runs", body)
    assert next_runs[first]["id"] == made["late"]["id"]
    assert next_runs[second] is None


@pytest.mark.parametrize(
    "path",
    ["flow_runs", "flows", "task_runs", "deployments", "logs", "work_pools", "variables",
     "artifacts", "artifacts/latest"],
)  # fmt: skip
async def test_null_leaves_what_a_list_is_asked_for_to_its_default(api: Api, path: str) -> None:
    body = {"sort": None, "limit": None, "offset": None, "flow_runs": None, "artifacts": None}
    assert await api.post(f"/{path}/filter", body) == []
