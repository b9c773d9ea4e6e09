"""Every group of the client's commands that is not Cloud-only, against our server.

`deploy`, `worker`, `task`, `flow serve` and `deployment run` have tests of their own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest, Shell, until

pytestmark = pytest.mark.timeout(240)  # some commands take seconds to start
Json = Any


@pytest.fixture(scope="module")
def shell(python: Path, api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Commands in a folder and a home of the module."""
    home = tmp_path_factory.mktemp("commands") / "home"
    with PrefectClient(python, api_url, home).shell() as shell:
        yield shell


@pytest.fixture(scope="module")
def seed(python: Path, api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """What commands have to look at: a flow run with a task, two deployments."""
    client = PrefectClient(python, api_url, tmp_path_factory.mktemp("seed") / "home")
    return client.facts("seed.py")


def test_variables(shell: Shell) -> None:
    shell("variable", "set", "answer", "[4, 2]", "--tag", "t")
    assert shell("variable", "get", "answer").strip() == "[4, 2]"
    assert "answer" in shell("variable", "ls")
    shell("variable", "set", "answer", "43", code=1)
    shell("variable", "set", "answer", "43", "--overwrite")
    assert "43" in shell("variable", "inspect", "answer")
    shell("variable", "unset", "answer")
    assert "not found" in shell("variable", "get", "answer", code=1)
    shell("variable", "set", "answer", "1")
    shell("variable", "delete", "answer")


def test_limits_of_tags_and_of_everything(shell: Shell, rest: Rest) -> None:
    shell("concurrency-limit", "create", "busy", "2")
    assert "busy" in shell("concurrency-limit", "ls")
    assert "busy" in shell("concurrency-limit", "inspect", "busy")
    shell("concurrency-limit", "reset", "busy")
    shell("concurrency-limit", "delete", "busy")
    shell("concurrency-limit", "inspect", "busy", code=1)
    shell("gcl", "create", "everyone", "--limit", "3", "--slot-decay-per-second", "0.5")
    assert "everyone" in shell("global-concurrency-limit", "ls")
    shell("gcl", "update", "everyone", "--limit", "5")
    shell("gcl", "disable", "everyone")
    kept = rest.get("/v2/concurrency_limits/everyone")
    assert (kept["limit"], kept["active"], kept["slot_decay_per_second"]) == (5, False, 0.5)
    shell("gcl", "enable", "everyone")
    assert "limit=5" in shell("gcl", "inspect", "everyone")
    shell("gcl", "delete", "everyone")
    shell("gcl", "inspect", "everyone", code=1)


def test_pools_and_queues(shell: Shell, rest: Rest) -> None:
    assert "Paused" in shell("work-pool", "create", "lake", "--type", "process", "--paused")
    shell("work-pool", "create", "lake", "--type", "process", code=1)
    shell("work-pool", "update", "lake", "--description", "wide", "--concurrency-limit", "4")
    assert "Resumed" in shell("work-pool", "resume", "lake")
    shell("work-pool", "set-concurrency-limit", "lake", "3")
    assert "0 / 3" in shell("work-pool", "slots", "lake")
    assert "description='wide'" in shell("work-pool", "inspect", "lake")
    assert "lake" in shell("work-pool", "ls")
    shell("work-pool", "clear-concurrency-limit", "lake")
    assert rest.get("/work_pools/lake")["concurrency_limit"] is None
    template = json.loads(shell("work-pool", "get-default-base-job-template", "--type", "process"))
    assert "job_configuration" in template
    shell("work-pool", "preview", "lake")
    assert "No storage" in shell("work-pool", "storage", "inspect", "lake")
    shell("work-queue", "create", "fast", "--pool", "lake", "--priority", "1", "--limit", "9")
    assert "fast" in shell("work-queue", "ls", "--pool", "lake")
    of_the_pool = ("fast", "--pool", "lake")
    assert "name='fast'" in shell("work-queue", "inspect", *of_the_pool)
    assert rest.get("/work_pools/lake/queues/fast")["priority"] == 1
    shell("work-queue", "pause", *of_the_pool)
    assert rest.get("/work_pools/lake/queues/fast")["status"] == "PAUSED"
    shell("work-queue", "resume", *of_the_pool)
    shell("work-queue", "set-concurrency-limit", "fast", "2", "--pool", "lake")
    assert "0 / 2" in shell("work-queue", "slots", *of_the_pool)
    shell("work-queue", "clear-concurrency-limit", *of_the_pool)
    shell("work-queue", "preview", *of_the_pool)
    assert "Read 0 runs" in shell("work-queue", "read-runs", *of_the_pool)
    shell("work-queue", "delete", *of_the_pool)
    shell("work-pool", "pause", "lake")
    assert rest.get("/work_pools/lake")["status"] == "PAUSED"
    shell("work-pool", "delete", "lake")
    shell("work-pool", "inspect", "lake", code=1)


def test_flows_runs_and_logs(shell: Shell, rest: Rest, seed: Json) -> None:
    run, failed = seed["run"], seed["failed"]
    (task,) = rest.task_runs(run, 1)
    assert "seeded" in shell("flow", "ls")
    assert run in shell("flow-run", "ls", "--flow-name", "seeded", "--state", "COMPLETED")
    assert "FAILED" in shell("flow-run", "ls", "--state-type", "FAILED")
    assert seed["name"] in shell("flow-run", "inspect", run)
    until(lambda: "from the flow" in shell("flow-run", "logs", run))
    shell("flow-run", "logs", run, "--head", "--num-logs", "1")
    assert task["id"] in shell("task-run", "ls")
    assert "seeded_task" in shell("task-run", "inspect", task["id"])
    assert "from the task" in shell("task-run", "logs", task["id"])
    assert "COMPLETED" in shell("flow-run", "watch", run).upper()
    shell("flow-run", "cancel", run, code=1)
    again = ("flow-run", "retry", failed, "--entrypoint", f"{FLOWS / 'seed.py'}:fails")
    assert "finished with state: FAILED" in shell(*again, code=1)
    assert rest.run(failed)["run_count"] == 2
    shell("flow-run", "delete", failed)
    assert rest.runs(id={"any_": [failed]}) == []


def test_deployments_and_their_schedules(shell: Shell, rest: Rest, seed: Json) -> None:
    name = "seeded/by-hand"
    assert name in shell("deployment", "ls", "--flow-name", "seeded")
    assert seed["deployment"] in shell("deployment", "inspect", name)
    plan = ("deployment", "schedule")
    shell(*plan, "create", name, "--interval", "3600", "--timezone", "Europe/Berlin")
    shell(*plan, "create", name, "--cron", "0 6 * * *")
    shell(*plan, "create", name, "--rrule", "FREQ=DAILY;COUNT=3")
    assert "cron: 0 6 * * *" in shell(*plan, "ls", name)
    kept = rest.get(f"/deployments/{seed['deployment']}")["schedules"]
    hourly = next(s for s in kept if "interval" in s["schedule"])
    assert hourly["schedule"]["timezone"] == "Europe/Berlin"
    scheduled = {"deployment_id": {"any_": [seed["deployment"]]}}
    until(lambda: rest.runs(**scheduled))
    shell(*plan, "pause", name, hourly["id"])
    shell(*plan, "resume", name, hourly["id"])
    shell(*plan, "pause", "--all")
    assert not any(s["active"] for s in rest.get(f"/deployments/{seed['deployment']}")["schedules"])
    shell(*plan, "delete", name, hourly["id"], "-y")
    shell(*plan, "clear", name, "-y")
    assert rest.get(f"/deployments/{seed['deployment']}")["schedules"] == []
    assert rest.runs(**scheduled) == []
    shell("deployment", "run", name, "--param", 'word="x"', "--start-in", "1 hour")
    (run,) = rest.runs(**scheduled)
    assert (run["parameters"], run["state_type"]) == ({"word": "x"}, "SCHEDULED")
    assert "cancellation" in shell("flow-run", "cancel", run["id"])
    assert rest.ended(run["id"])["state_type"] == "CANCELLED"
    shell("deployment", "delete", name)
    shell("deployment", "inspect", name, code=1)


def test_blocks_artifacts_automations_and_events(shell: Shell, rest: Rest, seed: Json) -> None:
    assert "secret/seeded" in shell("block", "ls")
    assert "secret" in shell("block", "type", "ls")
    assert "Secret" in shell("block", "type", "inspect", "secret")
    assert "********" in shell("block", "inspect", "secret/seeded")
    assert "webhook" in shell("block", "create", "webhook").lower()
    shell("block", "register", "--file", str(FLOWS / "objects.py"))
    assert "service" in shell("block", "type", "ls")
    shell("block", "delete", "secret/seeded")
    shell("block", "inspect", "secret/seeded", code=1)
    shell("block", "type", "delete", "service")
    assert "seeded-report" in shell("artifact", "ls")
    assert "# seeded" in shell("artifact", "inspect", "seeded-report")
    shell("artifact", "delete", "seeded-report")
    shell("artifact", "inspect", "seeded-report", code=1)
    assert "Automations" in shell("automation", "ls")
    shell("events", "emit", "wire.happened", "--resource-id", "wire.thing")
    body = {"filter": {"event": {"name": ["wire.happened"]}}}
    assert until(lambda: rest.post("/events/filter", body)["events"])


def test_events_are_streamed(client: PrefectClient, shell: Shell) -> None:
    stream = ("-m", "prefect", "events", "stream")
    with client.running(*stream, ready="Subscribing to event stream") as streaming:

        def heard() -> bool:
            # The socket opens a moment after the words: say it until it is heard.
            shell("events", "emit", "wire.streamed", "--resource-id", "wire.thing")
            return "wire.streamed" in streaming.said

        until(heard)


def test_the_api_profiles_settings_and_other_tools(
    shell: Shell, rest: Rest, seed: Json, tmp_path: Path, api_url: str
) -> None:
    assert "API version:          0.8.4" in shell("version")
    assert json.loads(shell("api", "GET", "/health")) is True
    found = json.loads(shell("api", "POST", "/flows/filter", "--data", '{"limit": 1}'))
    assert len(found) == 1
    assert "Server is available" in shell("server", "status")
    shell("server", "services", "ls")
    shell("config", "set", "PREFECT_LOGGING_LEVEL=ERROR")
    assert "PREFECT_LOGGING_LEVEL" in shell("profile", "inspect", "ephemeral")
    assert api_url in shell("config", "view")
    shell("config", "unset", "PREFECT_LOGGING_LEVEL", "--yes")
    assert "valid" in shell("config", "validate")
    shell("profile", "create", "other")
    shell("profile", "rename", "other", "another")
    assert "another" in shell("profile", "ls")
    shell("profile", "inspect", "another")
    assert "Connected to Prefect server" in shell("profile", "use", "another")
    shell("profile", "use", "ephemeral")
    shell("profile", "delete", "another")
    shell("profile", "populate-defaults")
    shell("plugins", "diagnose")
    assert "No default" in shell("experimental", "result-storage", "inspect")
    assert "Opened" in shell("dashboard", "open")
    shell("dev", "--help")
    shell("sdk", "generate", "--output", str(tmp_path / "sdk.py"))
    assert "fails/by-hand" in (tmp_path / "sdk.py").read_text()
    shell("shell", "watch", "echo from the shell", "--flow-name", "of the shell")
    (run,) = rest.post("/flow_runs/filter", {"flows": {"name": {"any_": ["of the shell"]}}})
    assert run["state_type"] == "COMPLETED"


def test_everything_is_transferred_to_another_server(
    shell: Shell, python: Path, api_url: str, seed: Json
) -> None:
    """Here the other server is the same one: everything is there already, and nothing fails."""
    shell("variable", "set", "carried", "1")
    for name in ("from-here", "to-there"):
        shell("profile", "create", name)
        shell("--profile", name, "config", "set", f"PREFECT_API_URL={api_url}")
    said = shell("transfer", "--from", "from-here", "--to", "to-there")
    assert "carried" in shell("variable", "ls")
    assert "failed" not in said.lower() or "0 failed" in said.lower(), said
