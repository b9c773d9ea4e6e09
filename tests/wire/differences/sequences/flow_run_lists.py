"""Flow runs: filters, order, pages, counts, histories, lateness."""

from datetime import UTC, datetime, timedelta

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import (
    make_deployment,
    make_flow,
    make_pool,
    make_run,
)


def _time(**ago: float) -> str:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(**ago)
    return moment.isoformat().replace("+00:00", "Z")


@sequence
def runs_listed(pair: Pair) -> None:
    """Every condition of the flow-run filter, alone and joined; other resources; order; pages."""
    one, two = make_flow(pair, "one", tags=["f"]), make_flow(pair, "two")
    pool = make_pool(pair, "p")
    deployment = make_deployment(pair, one, "d", work_pool_name=pool["name"], tags=["t"])
    late = _time(minutes=5)
    runs = {
        "r1": make_run(pair, one, "RUNNING", name="r1", tags=["a", "b"], flow_version="1"),
        "r2": make_run(pair, one, "COMPLETED", name="r2", tags=["a"], idempotency_key="key"),
        "r3": make_run(pair, two, "PENDING", name="r3"),
        "r4": make_run(pair, two, {"type": "FAILED", "name": "Odd"}, name="r4"),
        "r5": make_run(
            pair,
            one,
            {"type": "SCHEDULED", "state_details": {"scheduled_time": late}},
            name="r5",
        ),
        "r6": pair.post(
            "/deployments/{id}/create_flow_run",
            {
                "name": "r6",
                "state": {
                    "type": "SCHEDULED",
                    "state_details": {"scheduled_time": _time(minutes=-90)},
                },
            },
            id=deployment["id"],
        ),
    }
    ids = {name: run["id"] for name, run in runs.items()}
    conditions = (
        {},
        {"id": {"any_": [ids["r1"], ids["r3"]]}},
        {"id": {"not_any_": [ids["r1"], ids["r3"]]}},
        {"id": {"any_": []}},
        {"name": {"any_": ["r1", "r2"]}},
        {"name": {"like_": "R"}},
        {"name": {"like_": "r_"}},
        {"tags": {"all_": ["a"]}},
        {"tags": {"all_": ["a", "b"]}},
        {"tags": {"any_": ["b", "t"]}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"operator": "or_", "all_": ["b"], "is_null_": True}},
        {"deployment_id": {"any_": [deployment["id"]]}},
        {"deployment_id": {"is_null_": True}},
        {"deployment_id": {"is_null_": False}},
        {"deployment_id": {"operator": "or_", "any_": [deployment["id"]], "is_null_": True}},
        {"work_queue_name": {"any_": ["default"]}},
        {"work_queue_name": {"is_null_": True}},
        {"work_queue_name": {"is_null_": False}},
        {"state": {"type": {"any_": ["RUNNING", "FAILED"]}}},
        {"state": {"type": {"not_any_": ["RUNNING", "FAILED"]}}},
        {"state": {"name": {"any_": ["Odd", "Pending"]}}},
        {"state": {"name": {"not_any_": ["Odd", "Pending"]}}},
        {"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Odd"]}}},
        {"state": {"type": {"any_": ["NOTHING"]}}},
        {"state": {"type": {"any_": []}}},
        {"flow_version": {"any_": ["1"]}},
        {"start_time": {"is_null_": True}},
        {"start_time": {"is_null_": False}},
        {"start_time": {"after_": _time(minutes=1)}},
        {"start_time": {"before_": _time(minutes=1)}},
        {"end_time": {"is_null_": True}},
        {"end_time": {"is_null_": False}},
        {"end_time": {"after_": _time(minutes=1)}},
        {"expected_start_time": {"after_": _time(minutes=1)}},
        {"expected_start_time": {"before_": _time(minutes=1)}},
        {"next_scheduled_start_time": {"after_": _time(minutes=1)}},
        {"next_scheduled_start_time": {"before_": _time(minutes=1)}},
        {"parent_task_run_id": {"any_": [NOWHERE]}},
        {"parent_task_run_id": {"is_null_": True}},
        {"parent_task_run_id": {"is_null_": False}},
        {"parent_flow_run_id": {"any_": [ids["r1"]]}},
        {"idempotency_key": {"any_": ["key"]}},
        {"idempotency_key": {"not_any_": ["key"]}},
        {"created_by": {"id_": [NOWHERE]}},
        {"created_by": {"type_": ["SCHEDULE"]}},
        {"created_by": {"is_null_": True}},
        {"operator": "or_", "name": {"any_": ["r1"]}, "tags": {"is_null_": True}},
        {"operator": "or_"},
        {"name": {"any_": "r1"}},
        {"name": {"no_such_operator": ["r1"]}},
        {"start_time": {"after_": "x"}},
    )
    for flow_runs in conditions:
        pair.post("/flow_runs/filter", {"flow_runs": flow_runs, "sort": "NAME_ASC"})
        pair.post("/flow_runs/count", {"flow_runs": flow_runs})
    others = (
        {"flows": {"name": {"any_": ["two"]}}},
        {"flows": {"tags": {"all_": ["f"]}}},
        {"deployments": {"name": {"any_": ["d"]}}},
        {"deployments": {"tags": {"any_": ["t"]}}},
        {"work_pools": {"name": {"any_": ["p"]}}},
        {"work_pool_queues": {"name": {"any_": ["default"]}}},
        {"task_runs": {"name": {"any_": ["nobody"]}}},
        {"flows": {"name": {"any_": ["one"]}}, "flow_runs": {"tags": {"all_": ["b"]}}},
    )
    for body in others:
        pair.post("/flow_runs/filter", {**body, "sort": "NAME_ASC"})
        pair.post("/flow_runs/count", body)
    for sort in (
        "START_TIME_ASC",
        "START_TIME_DESC",
        "EXPECTED_START_TIME_ASC",
        "EXPECTED_START_TIME_DESC",
        "NAME_ASC",
        "NAME_DESC",
        "NEXT_SCHEDULED_START_TIME_ASC",
        "END_TIME_DESC",
        "NOTHING",
    ):
        narrowed = (
            {} if sort != "NEXT_SCHEDULED_START_TIME_ASC" else {"name": {"any_": ["r5", "r6"]}}
        )
        pair.post("/flow_runs/filter", {"flow_runs": narrowed, "sort": sort})
    for page in ({"limit": 2}, {"limit": 2, "offset": 2}, {"offset": 5}, {"offset": 99}):
        pair.post("/flow_runs/filter", {"sort": "NAME_ASC", **page})
    for page in ({}, {"limit": 2}, {"limit": 2, "page": 2}, {"limit": 4, "page": 3}, {"page": 0}):
        pair.post("/flow_runs/paginate", {"sort": "NAME_ASC", **page})
    for body in ({}, *others, {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}):
        pair.post("/flow_runs/lateness", body)
    pair.post("/flow_runs/lateness", {"flow_runs": {"id": {"any_": []}}})
    pair.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": list(ids.values())})
    pair.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": []})
    pair.post("/ui/flow_runs/history", {"sort": "NAME_ASC"})
    pair.post("/ui/flow_runs/history", {"sort": "NAME_ASC", "limit": 2, "offset": 1})
    pair.post("/ui/flow_runs/history", {"sort": "NAME_ASC", "limit": 1001})


@sequence
def runs_in_time(pair: Pair) -> None:
    """Histories in intervals of several lengths."""
    flow = make_flow(pair)
    for minutes, state in ((5, "SCHEDULED"), (35, "SCHEDULED"), (-15, "SCHEDULED")):
        details = {"scheduled_time": _time(minutes=minutes)}
        make_run(pair, flow, {"type": state, "state_details": details})
    make_run(pair, flow, "COMPLETED")
    make_run(pair, flow, {"type": "COMPLETED", "name": "Cached"})
    for seconds, extra in (
        (600, {}),
        (3600, {}),
        (86400, {}),
        (0, {}),
        (-1, {}),
        (0.5, {}),
        (600, {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}),
        (600, {"flows": {"name": {"any_": ["nobody"]}}}),
    ):
        body = {
            "history_start": _time(hours=1),
            "history_end": _time(hours=-1),
            "history_interval_seconds": seconds,
            **extra,
        }
        pair.post("/flow_runs/history", body)
    backwards = {"history_start": _time(hours=0), "history_end": _time(hours=1)}
    pair.post("/flow_runs/history", {**backwards, "history_interval_seconds": 600})
    forwards = {"history_start": _time(days=300), "history_end": _time(hours=0)}
    pair.post("/flow_runs/history", {**forwards, "history_interval_seconds": 3600})
    pair.post("/flow_runs/history", forwards)
