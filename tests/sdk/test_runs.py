"""Flows found by their entrypoint, executed for existing runs, deployed and run as deployments."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock import Client, arun_deployment, flow, run_deployment
from penstock.sdk.deployments import locate
from penstock.sdk.entrypoints import load_flow
from penstock.sdk.errors import EntrypointError
from penstock.sdk.run import execute_flow_run
from tests.sdk.waiting import until

SOURCE = """
import sys, time
from penstock import flow, get_run_logger
from beside import GREETING

@flow(name="{name}", retries=1)
def hello(who: str, times: int = 1) -> str:
    get_run_logger().info("hello %s", who)
    if who == "nobody":
        raise ValueError("nobody is here")
    if who == "sleeper":
        print("asleep", flush=True)
        time.sleep(60)
    return " ".join([GREETING, who] * times)

@flow(name="{name}-async")
async def hello_async(who: str) -> None:
    import asyncio

    get_run_logger().info("hello %s", who)
    print("asleep", flush=True)
    await asyncio.sleep(60)

not_a_flow = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    name = f"hello-{uuid.uuid4()}"
    (tmp_path / "beside.py").write_text("GREETING = 'hello'\n")
    (tmp_path / "flows.py").write_text(SOURCE.format(name=name))
    sys.modules.pop("beside", None)
    return tmp_path


def create_run(client: Client, name: str, **parameters: Any) -> uuid.UUID:
    flow_id = client.create_flow(name)
    return client.create_flow_run(flow_id=flow_id, parameters=parameters)


def test_a_flow_is_loaded_from_its_file_with_what_is_beside_it(folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    assert loaded.name.startswith("hello-")
    assert load_flow(str(folder / "flows.py") + ":hello") is loaded


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("flows.py", "write file.py:function"),
        ("missing.py:hello", "there is no file"),
        ("flows.py:missing", "has no flow 'missing'"),
        ("flows.py:not_a_flow", "has no flow 'not_a_flow'"),
    ],
)
def test_a_wrong_entrypoint_is_named(folder: Path, entrypoint: str, message: str) -> None:
    with pytest.raises(EntrypointError, match=message):
        load_flow(entrypoint, folder)


def test_an_existing_run_is_executed_with_its_parameters(client: Client, folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    run_id = create_run(client, loaded.name, who="you", times="2")
    state = execute_flow_run(loaded, run_id, client=client)
    assert state.is_completed()
    assert state.result() == "hello you hello you"
    run = client.read_flow_run(run_id)
    assert run.state_type == "COMPLETED"
    assert run.empirical_policy.retries == 1


def test_an_existing_run_that_fails_gives_its_state(client: Client, folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    run_id = create_run(client, loaded.name, who="nobody")
    assert execute_flow_run(loaded, run_id, client=client).is_failed()
    run = client.read_flow_run(run_id)
    assert (run.state_type, run.run_count) == ("FAILED", 2)


def test_a_run_whose_parameters_do_not_fit_fails_and_says_why(client: Client, folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    run_id = create_run(client, loaded.name, times="many", who="you")
    assert execute_flow_run(loaded, run_id, client=client).is_failed()
    assert "times: Input should be" in client.read_flow_run(run_id).state.message


@pytest.mark.parametrize("function", ["hello", "hello_async"])
def test_a_terminated_process_delivers_its_logs_and_leaves_the_state_alone(
    client: Client, folder: Path, function: str
) -> None:
    loaded = load_flow(f"flows.py:{function}", folder)
    run_id = create_run(client, loaded.name, who="sleeper")
    code = f"""
from penstock.sdk.entrypoints import load_flow
from penstock.sdk.run import execute_flow_run
execute_flow_run(load_flow("flows.py:{function}", {str(folder)!r}), "{run_id}")
"""
    environ = {**os.environ, "PENSTOCK_ATTEMPT_ID": str(uuid.uuid4())}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert client.read_flow_run(run_id).state_type == "RUNNING"
    logs = until(lambda: client.read_logs(logs={"flow_run_id": {"any_": [str(run_id)]}}))
    assert [line.message for line in logs] == ["hello sleeper"]


def test_a_deployment_says_where_the_flow_is_and_what_it_takes(
    client: Client, folder: Path
) -> None:
    loaded = load_flow("flows.py:hello", folder)
    deployment_id = loaded.deploy(
        "daily",
        parameters={"who": "you"},
        cron="0 9 * * *",
        timezone="Europe/Berlin",
        tags=["a"],
        description="greets",
        version="1",
        paused=True,
    )
    deployment = client.read_deployment_by_name(loaded.name, "daily")
    assert deployment.id == deployment_id
    assert (deployment.path, deployment.entrypoint) == (str(folder), "flows.py:hello")
    assert deployment.parameters == {"who": "you"}
    assert deployment.paused is True
    assert deployment.enforce_parameter_schema is True
    assert (deployment.tags, deployment.description, deployment.version) == (["a"], "greets", "1")
    schema = deployment.parameter_openapi_schema
    assert schema["required"] == ["who"]
    assert schema["properties"]["times"]["default"] == 1
    assert schema["properties"]["who"] == {"position": 0, "title": "who", "type": "string"}
    schedule = deployment.schedules[0].schedule
    assert (schedule.cron, schedule.timezone) == ("0 9 * * *", "Europe/Berlin")


def test_deploying_again_replaces_the_deployment(client: Client, folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    first = loaded.deploy("again", interval=timedelta(hours=1), client=client)
    second = loaded.deploy("again", tags=["new"], path=folder.parent, client=client)
    assert first == second
    deployment = client.read_deployment(second)
    assert deployment.schedules == []
    assert deployment.tags == ["new"]
    assert deployment.entrypoint == f"{folder.name}/flows.py:hello"


def test_a_flow_inside_a_function_cannot_be_deployed() -> None:
    @flow
    def hidden() -> None:
        return None

    with pytest.raises(EntrypointError, match="at the top of its file"):
        locate(hidden)


def test_run_deployment_without_waiting_gives_the_scheduled_run(
    client: Client, folder: Path
) -> None:
    loaded = load_flow("flows.py:hello", folder)
    loaded.deploy("unwatched", client=client)
    later = datetime.now(UTC) + timedelta(hours=1)
    run = run_deployment(
        f"{loaded.name}/unwatched",
        parameters={"who": "you"},
        timeout_seconds=0,
        flow_run_name="mine",
        tags=["t"],
        idempotency_key="k",
        scheduled_start_time=later,
    )
    assert (run.name, run.state_type, run.parameters) == ("mine", "SCHEDULED", {"who": "you"})
    assert run.tags == ["t"]
    assert run.expected_start_time == later
    again = run_deployment(
        f"{loaded.name}/unwatched", timeout_seconds=0, idempotency_key="k", parameters={"who": "x"}
    )
    assert again.id == run.id


def test_run_deployment_waits_until_the_run_has_ended(client: Client, folder: Path) -> None:
    import threading

    loaded = load_flow("flows.py:hello", folder)
    deployment_id = loaded.deploy("watched", client=client)

    def work() -> None:
        def due() -> list[Any]:
            return client.read_flow_runs(deployments={"id": {"any_": [str(deployment_id)]}})

        run = until(due)[0]
        client.set_flow_run_state(run.id, "PENDING")
        execute_flow_run(loaded, run.id, client=client)

    worker = threading.Thread(target=work)
    worker.start()
    started = time.monotonic()
    run = run_deployment(
        deployment_id, parameters={"who": "you"}, poll_interval=0.1, timeout_seconds=15
    )
    worker.join()
    assert run.state_type == "COMPLETED"
    assert time.monotonic() - started < 15


def test_a_deployment_is_named_by_flow_and_name(client: Client) -> None:
    with pytest.raises(ValueError, match="write flow/deployment"):
        run_deployment("hello")


def test_a_deployments_run_in_a_flow_is_a_subflow_unless_told_otherwise(
    client: Client, folder: Path
) -> None:
    loaded = load_flow("flows.py:hello", folder)
    loaded.deploy("called", client=client)
    name = f"calls-{uuid.uuid4()}"

    @flow(name=name)
    def calls_it(as_subflow: bool) -> Any:
        return run_deployment(
            f"{loaded.name}/called",
            parameters={"who": "you"},
            timeout_seconds=0,
            as_subflow=as_subflow,
        )

    child = calls_it(True)
    [parent] = client.read_flow_runs(flows={"name": {"any_": [name]}})
    [task_run] = client.read_task_runs(flow_runs={"id": {"any_": [str(parent.id)]}})
    assert child.parent_task_run_id == task_run.id
    assert task_run.state_type == "SCHEDULED"
    client.set_flow_run_state(child.id, "CANCELLED")
    assert client.read_task_run(task_run.id).state_type == "CANCELLED"
    assert calls_it(False).parent_task_run_id is None


def test_an_async_program_runs_a_deployment(client: Client, folder: Path) -> None:
    loaded = load_flow("flows.py:hello", folder)
    loaded.deploy("awaited", client=client)
    run = asyncio.run(
        arun_deployment(f"{loaded.name}/awaited", parameters={"who": "you"}, timeout_seconds=0.2)
    )
    assert run.state_type == "SCHEDULED"
