"""Task runs: made by requests, orchestrated, listed, counted."""

from typing import Any

from tests.wire.differences.pair import NOWHERE, Answer, Pair, Value
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.flow_runs import STATES
from tests.wire.differences.sequences.making import make_flow, make_run, set_state

FUTURE = "2040-01-01T00:00:00Z"


def make_task_run(
    pair: Pair, run: Answer | None, state: Any = None, key: str = "0", **fields: Any
) -> Answer:
    """A task run; `state` is a type or a whole state."""
    body = {
        "name": "task",
        "task_key": "key",
        "dynamic_key": key,
        "flow_run_id": None if run is None else run["id"],
        **fields,
    }
    if state is not None:
        body["state"] = {"type": state} if isinstance(state, str) else state
    return pair.post("/task_runs/", body)


def set_task_state(pair: Pair, task_run: Answer | Value, state: Any, **fields: Any) -> Answer:
    """A proposed state of a task run."""
    body = {"state": {"type": state} if isinstance(state, str) else state, **fields}
    return pair.post("/task_runs/{id}/set_state", body, id=task_run["id"])


@sequence
def task_runs_made(pair: Pair) -> None:
    """Every field of the body; repeated keys; names, PATCH, delete."""
    run = make_run(pair, make_flow(pair, labels={"of": "flow"}), "RUNNING", labels={"r": 1})
    for i, fields in enumerate(
        (
            {},
            {"name": "given"},
            {"name": ""},
            {"name": None},
            {"tags": ["a", "b"]},
            {"labels": {"l": 1}},
            {"cache_key": "c"},
            {"cache_expiration": FUTURE},
            {"task_version": "v"},
            {"task_inputs": {"x": [{"input_type": "parameter", "name": "p"}]}},
            {"task_inputs": {"x": [{"input_type": "task_run", "id": NOWHERE}]}},
            {"task_inputs": {"x": [{"input_type": "constant", "type": "int"}]}},
            {"task_inputs": {"x": [{"input_type": "nothing"}]}},
            {"empirical_policy": {"retries": 2, "retry_delay": 3, "retry_jitter_factor": 0.5}},
            {"empirical_policy": {"retries": 2, "retry_delay": [1, 2, 3]}},
            {"empirical_policy": {"retries": "x"}},
            {"empirical_policy": {"max_retries": 3}},
            {"id": "20000000-0000-4000-8000-000000000001"},
            {"flow_run_id": NOWHERE},
            {"flow_run_id": None},
            {"task_key": None},
            {"dynamic_key": ""},
            {"no_such_field": 1},
        )
    ):
        made = make_task_run(pair, run, **{"key": f"k{i}", **fields})
        pair.get("/task_runs/{id}", id=made["id"])
    first = make_task_run(pair, run, "RUNNING", key="k0", name="again")
    make_task_run(pair, run, key="other", id="20000000-0000-4000-8000-000000000001")
    make_task_run(pair, None, key="k", name="alone")
    make_task_run(pair, None, key="k", name="alone again")
    for body in ({"name": "after"}, {"name": ""}, {"name": None}, {}, {"tags": ["x"]}):
        pair.patch("/task_runs/{id}", body, id=first["id"])
        pair.get("/task_runs/{id}", id=first["id"])
    pair.get("/ui/task_runs/{id}", id=first["id"])
    pair.delete("/task_runs/{id}", id=first["id"])
    pair.delete("/task_runs/{id}", id=first["id"])
    pair.get("/task_runs/{id}", id=first["id"])
    pair.get("/task_run_states/", params={"task_run_id": first["id"]})


@sequence
def every_pair_of_task_states(pair: Pair) -> None:
    """A task run made in each state is proposed each state, forced and not."""
    run = make_run(pair, make_flow(pair), "RUNNING")
    for force in (False, True):
        for before in (None, *STATES):
            for after in STATES:
                key = f"{before} {after} {force}"
                task_run = make_task_run(pair, run, before, key)
                set_task_state(pair, task_run, after, force=force)
                pair.get("/task_runs/{id}", id=task_run["id"])


@sequence
def task_runs_of_flow_runs_in_every_state(pair: Pair) -> None:
    """A task run may run while its flow run does."""
    flow = make_flow(pair)
    for state in STATES:
        run = make_run(pair, flow, state)
        task_run = make_task_run(pair, run)
        for kind in ("PENDING", "RUNNING", "COMPLETED"):
            set_task_state(pair, task_run, kind)
    alone = make_task_run(pair, None, "PENDING", "alone")
    for kind in ("RUNNING", "FAILED", "SCHEDULED", "RUNNING", "COMPLETED"):
        set_task_state(pair, alone, kind)
        pair.get("/task_runs/{id}", id=alone["id"])
    paused = make_run(
        pair,
        flow,
        {"type": "PAUSED", "state_details": {"pause_timeout": FUTURE, "pause_reschedule": True}},
    )
    set_task_state(pair, make_task_run(pair, paused), "RUNNING")


@sequence
def task_runs_retried(pair: Pair) -> None:
    """Retries with one delay and with several; what may not be retried; running again by hand."""
    run = make_run(pair, make_flow(pair), "RUNNING")
    for i, policy in enumerate(
        (
            {"retries": 1, "retry_delay": 0},
            {"retries": 2, "retry_delay": [10, 20]},
            {"retries": 2, "retry_delay": 60},
            {"retries": 0},
        )
    ):
        task_run = make_task_run(pair, run, key=f"k{i}", empirical_policy=policy)
        for _ in range(3):
            set_task_state(pair, task_run, "RUNNING")
            set_task_state(
                pair, task_run, {"type": "FAILED", "message": "failed", "data": {"a": 1}}
            )
            pair.get("/task_runs/{id}", id=task_run["id"])
        pair.get("/task_run_states/", params={"task_run_id": task_run["id"]})
    final = make_task_run(pair, run, "RUNNING", "final", empirical_policy={"retries": 3})
    set_task_state(pair, final, {"type": "FAILED", "state_details": {"retriable": False}})
    set_task_state(pair, final, "RUNNING")
    set_task_state(pair, final, "COMPLETED")
    set_state(pair, run, "FAILED")
    set_state(pair, run, "RUNNING")
    set_task_state(pair, final, "RUNNING")
    pair.get("/task_runs/{id}", id=final["id"])


@sequence
def task_runs_cached(pair: Pair) -> None:
    """A cache key that a completed task run has left; expired, refreshed, too long."""
    run = make_run(pair, make_flow(pair), "RUNNING")
    number = iter(range(100))

    def once(details: dict[str, Any], end: dict[str, Any]) -> None:
        task_run = make_task_run(pair, run, "PENDING", f"k{next(number)}")
        set_task_state(pair, task_run, {"type": "RUNNING", "state_details": details})
        state = {"type": "COMPLETED", "data": {"value": 1}, "state_details": end}
        set_task_state(pair, task_run, state)
        history = pair.get("/task_run_states/", params={"task_run_id": task_run["id"]})
        pair.get("/task_run_states/{id}", id=history[0]["id"])

    key = {"cache_key": "difference"}
    once({}, key)
    once(key, key)
    once({**key, "refresh_cache": True}, key)
    old = {"cache_key": "old", "cache_expiration": "2020-01-01T00:00:00Z"}
    once({}, old)
    once({"cache_key": "old"}, old)
    once({}, {"cache_key": "new", "cache_expiration": FUTURE})
    once({"cache_key": "new"}, {})
    once({}, {"cache_key": "x" * 2001})
    for kind in ("FAILED", "COMPLETED", "CRASHED", "SCHEDULED"):
        ended = make_task_run(pair, run, "RUNNING", f"ended {kind}")
        set_task_state(pair, ended, {"type": "COMPLETED", "data": {"value": 1}})
        set_task_state(pair, ended, {"type": kind, "data": {"value": 2}})
        set_task_state(pair, ended, kind, force=True)


@sequence
def task_runs_in_the_background(pair: Pair) -> None:
    """Deferred task runs without a flow run."""
    details = {"deferred": True, "task_parameters_id": NOWHERE}
    task_run = make_task_run(
        pair, None, {"type": "SCHEDULED", "state_details": details}, "background"
    )
    for kind in ("PENDING", "PENDING", "RUNNING", "COMPLETED"):
        set_task_state(pair, task_run, {"type": kind, "state_details": {"deferred": True}})
    pair.get("/task_runs/{id}", id=task_run["id"])
    pair.post("/task_workers/filter", {})
    pair.post("/task_workers/filter", {"task_worker_filter": {"task_keys": ["key"]}})


@sequence
def task_runs_listed(pair: Pair) -> None:
    """Every condition, other resources, order, pages, counts, histories."""
    one, two = make_flow(pair, "one"), make_flow(pair, "two")
    runs = {"r1": make_run(pair, one, "RUNNING", name="r1"), "r2": make_run(pair, two, name="r2")}
    late = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-11-01T00:00:00Z"}}
    ids = {
        "a": make_task_run(pair, runs["r1"], "RUNNING", "a", name="a", tags=["x", "y"])["id"],
        "b": make_task_run(pair, runs["r1"], "COMPLETED", "b", name="b", tags=["x"])["id"],
        "c": make_task_run(pair, runs["r2"], late, "c", name="c")["id"],
        "d": make_task_run(pair, runs["r2"], {"type": "FAILED", "name": "Odd"}, "d", name="d")[
            "id"
        ],
        "e": make_task_run(pair, None, "PENDING", "e", name="e")["id"],
    }
    make_run(pair, two, "RUNNING", name="child", parent_task_run_id=ids["a"])
    conditions = (
        {},
        {"id": {"any_": [ids["a"], NOWHERE]}},
        {"name": {"any_": ["a", "b"]}},
        {"name": {"like_": "A"}},
        {"flow_run_id": {"any_": [runs["r1"]["id"]]}},
        {"flow_run_id": {"is_null_": True}},
        {"flow_run_id": {"is_null_": False}},
        {"tags": {"all_": ["x"]}},
        {"tags": {"is_null_": True}},
        {"state": {"type": {"any_": ["RUNNING", "FAILED"]}}},
        {"state": {"name": {"any_": ["Odd"]}}},
        {"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Odd"]}}},
        {"start_time": {"is_null_": True}},
        {"start_time": {"after_": "2026-11-02T00:00:00Z"}},
        {"end_time": {"is_null_": False}},
        {"end_time": {"after_": "2026-11-02T00:00:00Z"}},
        {"expected_start_time": {"before_": "2026-11-02T00:00:00Z"}},
        {"subflow_runs": {"exists_": True}},
        {"subflow_runs": {"exists_": False}},
        {"operator": "or_", "name": {"any_": ["e"]}, "tags": {"all_": ["y"]}},
        {"no_such_field": 1},
    )
    for task_runs in conditions:
        pair.post("/task_runs/filter", {"task_runs": task_runs, "sort": "NAME_ASC"})
        pair.post("/task_runs/count", {"task_runs": task_runs})
        pair.post("/ui/task_runs/count", {"task_runs": task_runs})
    others = (
        {"flows": {"name": {"any_": ["one"]}}},
        {"flow_runs": {"name": {"any_": ["r2"]}}},
        {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
        {"deployments": {"name": {"any_": ["nobody"]}}},
    )
    for body in others:
        pair.post("/task_runs/filter", {**body, "sort": "NAME_ASC"})
        pair.post("/task_runs/count", body)
        pair.post("/ui/task_runs/count", body)
    for sort in ("NAME_DESC", "EXPECTED_START_TIME_ASC", "END_TIME_DESC", "NOTHING"):
        pair.post("/task_runs/filter", {"task_runs": {"name": {"any_": ["b", "c"]}}, "sort": sort})
    for page in ({"limit": 2}, {"limit": 2, "offset": 3}):
        pair.post("/task_runs/filter", {"sort": "NAME_ASC", **page})
    for page in ({}, {"limit": 2}, {"limit": 2, "page": 3}, {"page": 0}):
        pair.post("/task_runs/paginate", {"sort": "NAME_ASC", **page})
    window = {
        "history_start": "2026-10-31T00:00:00Z",
        "history_end": "2026-11-02T00:00:00Z",
        "history_interval_seconds": 43200,
    }
    pair.post("/task_runs/history", window)
    pair.post("/task_runs/history", {**window, "history_interval_seconds": 0.1})
    pair.post("/ui/task_runs/dashboard/counts", {"task_runs": {}})
    spell = {"start_time": {"after_": "2026-10-31T00:00:00Z", "before_": "2026-11-02T00:00:00Z"}}
    pair.post("/ui/task_runs/dashboard/counts", {"task_runs": spell})
    pair.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": [runs["r1"]["id"]]})
    for run in runs.values():
        pair.get("/flow_runs/{id}/graph", id=run["id"])
        pair.get("/flow_runs/{id}/graph-v2", id=run["id"])


@sequence
def subflows(pair: Pair) -> None:
    """A child run and the task run that stands for it in its parent."""
    flow, child_flow = make_flow(pair), make_flow(pair, "child")
    parent = make_run(pair, flow, "RUNNING")
    stand_in = make_task_run(pair, parent, "PENDING", "child-0")
    child = make_run(pair, child_flow, parent_task_run_id=stand_in["id"], name="first")
    for kind in ("RUNNING", "FAILED", "RUNNING", "COMPLETED"):
        set_state(pair, child, kind)
        pair.get("/task_runs/{id}", id=stand_in["id"])
    pair.get("/flow_runs/{id}", id=child["id"])
    pair.get("/task_run_states/", params={"task_run_id": stand_in["id"]})
    suspend = {"type": "PAUSED", "state_details": {"pause_reschedule": True}}
    other = make_task_run(pair, parent, "PENDING", "child-1")
    second = make_run(pair, child_flow, "RUNNING", parent_task_run_id=other["id"], name="second")
    set_state(pair, second, suspend)
    for filters in (
        {"parent_flow_run_id": {"any_": [parent["id"]]}},
        {"parent_task_run_id": {"any_": [stand_in["id"]]}},
        {"parent_task_run_id": {"is_null_": True}},
    ):
        pair.post("/flow_runs/filter", {"flow_runs": filters, "sort": "START_TIME_ASC"})
    pair.get("/flow_runs/{id}/graph-v2", id=parent["id"])
    pair.get("/flow_runs/{id}/graph", id=parent["id"])
    pair.delete("/flow_runs/{id}", id=parent["id"])
    pair.get("/task_runs/{id}", id=stand_in["id"])
    pair.get("/flow_runs/{id}", id=child["id"])
