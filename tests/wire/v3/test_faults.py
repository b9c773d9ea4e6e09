"""Answers that get lost and websockets that are cut between the real client and our server."""

from typing import Any

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest, until
from tests.wire.v3.proxy import Proxy

pytestmark = pytest.mark.timeout(180)
Json = Any
ID = "[0-9a-f-]{36}"


def test_a_lost_answer_neither_doubles_nor_fails(client: PrefectClient, rest: Rest) -> None:
    with Proxy(client.api_url) as proxy:
        client.api_url = proxy.url
        for method, path, times in [
            ("POST", "/flows/", 1),
            ("POST", f"/flow_runs/{ID}/set_state", 4),
            ("POST", "/task_runs/", 1),
            ("POST", "/deployments/", 1),
            ("POST", f"/deployments/{ID}/create_flow_run", 2),
        ]:
            proxy.lose(method, path, times)
        facts = client.facts("repeating.py")
        assert len(proxy.lost) == 9, proxy.lost
    assert facts["result"] == 2
    assert facts["same"]
    run, child = facts["ids"]["run"], facts["ids"]["child"]
    assert rest.state_names(run) == [
        *("Pending", "Running", "AwaitingRetry", "Running", "Completed")
    ]
    assert rest.run(run)["run_count"] == 2
    assert rest.state_names(child) == ["Pending", "Running", "Completed"]
    assert [r["id"] for r in rest.runs(parent_flow_run_id={"any_": [run]})] == [child]
    names = sorted(task["name"].split("-")[0] for task in rest.task_runs(run, 2))
    assert names == ["child", "step"]
    (scheduled,) = rest.runs(idempotency_key={"any_": ["only-one"]})
    assert scheduled["deployment_id"] == facts["deployment"]
    assert len(rest.post("/flows/filter", {"flows": {"name": {"any_": ["repeats"]}}})) == 1


def test_websockets_that_are_cut_lose_no_state_of_a_task(client: PrefectClient, rest: Rest) -> None:
    count = 60
    with Proxy(client.api_url) as proxy:
        client.api_url = proxy.url
        with client.running(*disturbed(count), ready="Beginning flow run") as flow:
            for _ in range(3):
                before = len(flow.lines)
                # What is sent before the cut gets lost, though it was taken from the client.
                proxy.deafen()
                until(lambda seen=before: len(flow.lines) > seen + 5)  # type: ignore[misc]
                until(lambda: proxy.cut("/events/in"))
                proxy.hear()
                until(lambda: proxy.sockets("/events/in"))
            flow.wait_for('"numbers"')
            flow.process.wait(60)
        said = flow.said
    (run,) = rest.post("/flow_runs/filter", {"flows": {"name": {"any_": ["many"]}}})
    assert run["id"] in said
    tasks = rest.task_runs(run["id"], count)
    assert {task["state_name"] for task in tasks} == {"Completed"}
    for task in tasks:
        assert rest.task_state_names(task["id"]) == ["Pending", "Running", "Completed"]
        assert task["run_count"] == 1


def disturbed(count: int) -> list[str]:
    """The flow with so many tasks."""
    return [str(FLOWS / "many_tasks.py"), str(count)]
