"""Tasks in the background: called in one process, executed by a task worker in another."""

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest

pytestmark = pytest.mark.timeout(240)


def test_delayed_tasks_are_executed_by_a_task_worker(client: PrefectClient, rest: Rest) -> None:
    script = str(FLOWS / "task_working.py")
    with client.running(script, "serve", ready="Subscribing to runs"):
        # Longer than a claim of a task run lasts: one that is delivered late is told by its result.
        facts = client.facts("task_working.py", timeout_seconds=170)
    assert facts["done"] == [9, 0]
    assert (facts["numbers"], facts["mapped"]) == ([0, 2, 4, 6, 8], [11, 21])
    assert (facts["retried"], facts["failed"]) == (7, "FAILED")
    assert (facts["flow"], facts["async"]) == (40, 2)
    first = rest.get(f"/task_runs/{facts['ids']['numbers'][0]}")
    assert (first["state_type"], first["flow_run_id"]) == ("COMPLETED", None)
    for run_id in facts["ids"]["numbers"]:
        assert rest.task_state_names(run_id) == ["Scheduled", "Pending", "Running", "Completed"]
    assert rest.task_state_names(facts["ids"]["retried"]) == [
        *("Scheduled", "Pending", "Running", "AwaitingRetry", "Retrying", "Completed")
    ]


def test_the_command_serves_a_task_too(client: PrefectClient, rest: Rest) -> None:
    entrypoint = f"{FLOWS / 'task_working.py'}:soon"
    with client.running("-m", "prefect", "task", "serve", entrypoint, ready="Subscribing to runs"):
        facts = client.facts("task_working.py", "soon")
    assert facts == {"soon": 42}
