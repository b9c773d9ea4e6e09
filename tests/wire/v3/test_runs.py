"""Flows and tasks of the unmodified client: what it saw, and what the server keeps of it."""

from typing import Any

import pytest

from tests.wire.v3.client import PrefectClient, Rest, until

pytestmark = pytest.mark.timeout(120)  # each client process takes two seconds to start
Json = Any


def test_flows_tasks_futures_maps_and_subflows(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("basics.py")
    ids = facts.pop("ids")
    name = facts["sync"]["runtime"][0]
    assert facts["sync"] == {
        "futures": [2, 12, 101, 6],
        "mapped": [6, 7, 8],
        "pairs": [11, 22],
        "failed": "FAILED",
        "waited": [2, 0],
        "named": {
            "name": "named-4",
            "tags": ["inherited", "of the call", "slow"],
            "parameters": {"a": 4},
        },
        "subflow": 2,
        "runtime": [name, "everything", {"word": "here"}, 1],
    }
    assert facts["async"] == {
        "futures": [2, 3],
        "gathered": [3, 4],
        "mapped": [4, 5],
        "child": "soon 2",
        "sync task": 2,
    }
    assert (facts["generator"], facts["task alone"]) == ([0, 1, 2], 42)
    the_runs_are_kept(rest, ids, name)
    the_task_runs_are_kept(rest, ids)
    the_subflows_hang_together(rest, ids)
    lines = until(
        lambda: rest.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [ids["everything"]]}}}),
        lambda logs: "hello from here" in [log["message"] for log in logs],
    )
    assert {log["flow_run_id"] for log in lines} == {ids["everything"]}


def the_runs_are_kept(rest: Rest, ids: Json, name: str) -> None:
    for run_id in ids.values():
        run = rest.run(run_id)
        assert (run["state_type"], run["run_count"]) == ("COMPLETED", 1)
        assert run["start_time"] <= run["end_time"]
        assert rest.state_names(run_id) == ["Pending", "Running", "Completed"]
    everything = rest.run(ids["everything"])
    assert everything["name"] == name
    assert (everything["flow_version"], everything["tags"]) == ("7", ["of the call"])
    assert everything["parameters"] == {"word": "here"}
    assert rest.run(ids["grandchild"])["name"] == "grandchild-of-1"


def the_task_runs_are_kept(rest: Rest, ids: Json) -> None:
    tasks = rest.task_runs(ids["everything"], 13)  # ten of `add`, broken, named, and the subflow
    by_name = {task["name"]: task for task in tasks}
    assert sorted(by_name["named-4"]["tags"]) == ["inherited", "of the call", "slow"]
    (broken,) = [task for task in tasks if task["name"].startswith("broken")]
    assert broken["state"]["message"] == "Task run encountered an exception ValueError: on purpose"
    assert rest.task_state_names(broken["id"]) == ["Pending", "Running", "Failed"]
    adds = [task for task in tasks if task["name"].startswith("add")]
    assert {task["state_name"] for task in adds} == {"Completed"}
    assert {task["task_key"] for task in adds} == {adds[0]["task_key"]}
    first, second = adds[0], next(t for t in adds if t["task_inputs"].get("a"))
    assert second["task_inputs"]["a"] == [
        {"input_type": "task_run", "id": second["task_inputs"]["a"][0]["id"]}
    ]
    assert second["task_inputs"]["a"][0]["id"] in {task["id"] for task in adds}
    assert first["flow_run_id"] == ids["everything"]
    assert len(rest.task_runs(ids["async_everything"], 8)) == 8


def the_subflows_hang_together(rest: Rest, ids: Json) -> None:
    for parent, child in [
        ("everything", "child"),
        ("child", "grandchild"),
        ("async_everything", "async_child"),
    ]:
        run = rest.run(ids[child])
        task = rest.get(f"/task_runs/{run['parent_task_run_id']}")
        assert task["flow_run_id"] == ids[parent]
        assert (task["state_type"], task["state"]["state_details"]["child_flow_run_id"]) == (
            "COMPLETED",
            ids[child],
        )
    graph = rest.get(f"/flow_runs/{ids['everything']}/graph-v2")
    kinds = [node["kind"] for _, node in graph["nodes"]]
    assert (kinds.count("flow-run"), kinds.count("task-run")) == (1, 12)
    (subflow,) = [node for _, node in graph["nodes"] if node["kind"] == "flow-run"]
    assert subflow["id"] == ids["child"]
    children = rest.runs(parent_flow_run_id={"any_": [ids["everything"]]})
    assert [run["id"] for run in children] == [ids["child"]]


def test_failures_retries_and_timeouts(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("trouble.py")
    ids = facts["ids"]
    assert facts["tasks"] == {
        "flaky": 3,
        "never again": ["Failed", 1],
        "slow": ["FAILED", "TimedOut"],
    }
    assert facts["flaky_flow"] == 3
    # Waits are whole seconds on this wire: half a second early is in time.
    assert all(0.5 <= pause < 10 for pause in facts["flow pauses"]), facts["flow pauses"]
    assert facts["hopeless"][:2] == ["FAILED", "Failed"]
    assert "always" in facts["hopeless"][2]
    assert facts["too_slow"][:2] == ["FAILED", "TimedOut"]
    assert facts["renamed"] == ["COMPLETED", "Renamed", "all is well"]
    assert facts["failed"] == ["FAILED", "Failed", "not well"]
    assert facts["cancelled"] == ["CANCELLED", "Cancelled", "no more"]
    assert facts["crash"] == "came through"
    assert facts["bad parameter"] == ["FAILED", "Failed"]
    assert facts["hooks"] == ["flaky_task Completed", "flaky-flow Completed", "hopeless Failed"]
    the_troubles_are_kept(rest, ids)
    the_troubled_tasks_are_kept(rest, ids["task_troubles"])


def the_troubles_are_kept(rest: Rest, ids: Json) -> None:
    again = ["AwaitingRetry", "Running"]
    assert rest.state_names(ids["flaky_flow"]) == [
        *("Pending", "Running", *again, *again, "Completed")
    ]
    assert rest.run(ids["flaky_flow"])["run_count"] == 3
    assert rest.state_names(ids["hopeless"]) == ["Pending", "Running", *again, "Failed"]
    assert rest.state_names(ids["too_slow"]) == ["Pending", "Running", "TimedOut"]
    assert rest.run(ids["crashes"])["state_type"] == "CRASHED"
    for kind, name in [("renamed", "Renamed"), ("failed", "Failed"), ("cancelled", "Cancelled")]:
        assert rest.state_names(ids[f"returns {kind}"]) == ["Pending", "Running", name]


def the_troubled_tasks_are_kept(rest: Rest, run_id: str) -> None:
    tasks = {task["name"].rsplit("-", 1)[0]: task for task in rest.task_runs(run_id, 3)}
    assert tasks["flaky_task"]["run_count"] == 3
    assert rest.task_state_names(tasks["flaky_task"]["id"]) == [
        *("Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying"),
        "Completed",
    ]
    assert rest.task_state_names(tasks["never_again"]["id"]) == ["Pending", "Running", "Failed"]
    assert tasks["slow_task"]["state_name"] == "TimedOut"


def test_results_caches_and_transactions(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("results.py")
    ids = facts["ids"]
    answers = {
        "futures": [4, 4],
        "expiring": [3, 3, 6],
        "by_key": [1, 1],
        "refreshed": [1, 1],
        "uncached": [1, 1],
        "stored": {"a": 9},
    }
    hit = ["COMPLETED", "Cached", 2]
    assert facts["cached"] == {"states": [["COMPLETED", "Completed", 2], hit], **answers}
    assert facts["again"] == {"states": [hit, hit], **answers}
    assert facts["in a block"] == {"a": 9}
    counts = {call: facts["calls"].count(call) for call in facts["calls"]}
    # Each flow run computes what is never cached; the block holds a cache of its own.
    assert counts == {
        "by_inputs 1": 2,
        "by_inputs 2": 2,
        "expiring 1": 2,
        "expiring 2": 2,
        "by_key 1": 2,
        "refreshed 1": 6,
        "uncached 1": 6,
    }
    assert (facts["rolled back"], facts["committed"]) == ("FAILED", "COMPLETED")
    assert facts["log"] == [
        *("write first", "unwrite from the flow", "write second", "inside", "commit")
    ]
    run = rest.run(ids["cached"])
    assert run["state"]["data"]["storage_key"]
    names = [task["state_name"] for task in rest.task_runs(ids["cached"], 14)]
    assert names.count("Cached") == 4
    (written,) = rest.task_runs(ids["rolls_back"], 1)
    assert rest.task_state_names(written["id"])[-1] == "RolledBack"
    read = client.facts("results.py", "read", ids["cached"])
    assert read["stored"] == {"a": 9}
