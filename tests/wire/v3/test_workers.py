"""`prefect worker start` executes what the client deployed: run, suspended, limited, cancelled."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest, Running, Shell, until

pytestmark = pytest.mark.timeout(300)  # a worker starts a process for each run
Json = Any


@dataclass
class Pool:
    """A process pool with deployments, and a worker on it."""

    client: PrefectClient
    worker: Running
    deployments: dict[str, str]

    def start(self, rest: Rest, name: str, folder: Path) -> str:
        """The id of a new run of a deployment of `sleeps`."""
        body = {"parameters": {"folder": str(folder)}}
        path = f"/deployments/{self.deployments[name]}/create_flow_run"
        return str(rest.post(path, body)["id"])


@pytest.fixture(scope="module")
def pool(python: Path, api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """The pool `wire`; its worker stops after the module."""
    client = PrefectClient(python, api_url, tmp_path_factory.mktemp("pool") / "home")
    # A run of the pool has its environment from the pool's template, as users do it.
    client.command("work-pool", "create", "wire", "--type", "process")
    facts = client.facts("deploying.py", "wire", str(FLOWS))
    assert facts["same"]
    start = ("worker", "start", "--pool", "wire", "--type", "process", "--name", "wire-worker")
    with client.running("-m", "prefect", *start, ready="Worker .* started!") as worker:
        yield Pool(client, worker, facts["ids"])
    assert worker.process.returncode == 0, worker.said[-4000:]


def test_a_worker_runs_and_cancels_what_is_deployed(pool: Pool, rest: Rest, tmp_path: Path) -> None:
    # They sleep until they are cancelled, while others come and go.
    sleeping = {name: pool.start(rest, name, tmp_path) for name in ("sleeps", "one", "none")}
    what_is_called_runs(pool, rest)
    with pool.client.shell() as shell:
        said = shell(
            *("deployment", "run", "greet/deployed", "--param", "name=watched", "--watch"),
            *("--watch-interval", "1"),
        )
        assert "Completed" in said
        (watched,) = [r for r in rest.runs() if r["parameters"].get("name") == "watched"]
        assert watched["state_type"] == "COMPLETED"
        what_sleeps_is_cancelled(pool, rest, shell, tmp_path, sleeping)


def what_is_called_runs(pool: Pool, rest: Rest) -> None:
    facts = pool.client.facts("running.py", "deployed", timeout_seconds=200)
    ids = facts["ids"]
    assert facts["waited"] == ["COMPLETED", ["hello waiter"] * 2, True]
    assert facts["suspended"] == ["Suspended", "PAUSED"]
    assert facts["asks"] == ["COMPLETED", ["why?", "hello before", "because", 1]]
    below, ended, said, apart = facts["calls"][1]
    assert (facts["calls"][0], ended, said) == ("COMPLETED", "COMPLETED", ["hello below"])
    assert (facts["waited again"], facts["unknown"]) == ("Completed", "ObjectNotFound")
    the_runs_are_kept(rest, pool, ids)
    the_calls_hang_together(rest, ids, below, apart)
    the_worker_is_known(rest)


def the_runs_are_kept(rest: Rest, pool: Pool, ids: Json) -> None:
    submitted = ["Scheduled", "Pending", "Submitting"]
    waited = rest.run(ids["waited"])
    names = rest.state_names(ids["waited"])
    assert [n for n in names if n != "InfrastructurePending"] == [
        *(*submitted, "Running", "Completed")
    ]
    assert (waited["name"], sorted(waited["tags"])) == ("waited for", ["b", "of the call"])
    assert waited["deployment_id"] == pool.deployments["greet"]
    assert (waited["work_pool_name"], waited["work_queue_name"]) == ("wire", "default")
    assert waited["job_variables"] == {"env": {"WIRE_VARIABLE": "of the job"}}
    assert int(waited["infrastructure_pid"].rsplit(":", 1)[-1]) > 0
    until(
        lambda: rest.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [ids["waited"]]}}}),
        lambda logs: any("of the job" in log["message"] for log in logs),
    )
    asked = [n for n in rest.state_names(ids["asks"]) if n != "InfrastructurePending"]
    assert asked == [
        *(*submitted, "Running", "Suspended", "Resuming"),
        *("Pending", "Submitting", "Running", "Completed"),
    ]
    assert rest.run(ids["fails_once"])["run_count"] == 2
    assert rest.run(ids["later"])["state_type"] == "SCHEDULED"


def the_calls_hang_together(rest: Rest, ids: Json, below: str, apart: str) -> None:
    parent = rest.get(f"/task_runs/{rest.run(below)['parent_task_run_id']}")
    assert parent["flow_run_id"] == ids["calls"]
    assert parent["state"]["state_details"]["child_flow_run_id"] == below
    assert until(lambda: rest.get(f"/task_runs/{parent['id']}"))["state_type"] == "COMPLETED"
    assert rest.run(apart)["parent_task_run_id"] is None
    assert rest.ended(apart)["state_type"] == "COMPLETED"


def the_worker_is_known(rest: Rest) -> None:
    (worker,) = rest.post("/work_pools/wire/workers/filter")
    assert (worker["name"], worker["status"]) == ("wire-worker", "ONLINE")
    assert rest.get("/work_pools/wire")["status"] == "READY"
    deployment = rest.get("/deployments/name/greet/deployed")
    assert (deployment["status"], deployment["description"]) == ("READY", "Say hello.")
    assert (deployment["tags"], len(deployment["schedules"])) == (["b"], 2)


def what_sleeps_is_cancelled(
    pool: Pool, rest: Rest, shell: Shell, folder: Path, sleeping: dict[str, str]
) -> None:
    pids: dict[str, int] = {}
    for run in sleeping.values():
        note = folder / f"{run}.started"
        until(note.exists, timeout_seconds=90)
        pids[run] = int(until(note.read_text))
    second, refused = pool.start(rest, "one", folder), pool.start(rest, "none", folder)
    until(lambda: rest.run(second)["state_name"], lambda name: name == "AwaitingConcurrencySlot")
    assert rest.ended(refused)["state_type"] == "CANCELLED"
    for run in (second, *sleeping.values()):
        shell("flow-run", "cancel", run)
    for run, pid in pids.items():
        assert rest.ended(run)["state_type"] == "CANCELLED"
        assert rest.state_names(run)[-2:] == ["Cancelling", "Cancelled"]
        until((folder / f"{run}.Cancelling").exists)
        until(partial(gone, pid))
    assert rest.ended(second)["state_type"] == "CANCELLED"
    assert "Cancelling" not in rest.state_names(second)
    limits = rest.post("/v2/concurrency_limits/filter")
    assert {limit["active_slots"] for limit in limits} == {0}


def gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:1]
