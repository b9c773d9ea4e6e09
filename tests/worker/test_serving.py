"""`flow.serve()` and `serve()`: a program that executes the runs of its own deployments."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from penstock import flow, serve
from penstock.sdk.client import Client
from tests.provision import clean_environment
from tests.worker.conftest import Ground, WorkerProcess

SERVED = """
    import time

    @flow(name="{name}")
    def one(word: str = "-") -> None:
        print("said", word, flush=True)
        if word == "slow":
            time.sleep(1)
        if word == "for ever":
            time.sleep(60)

    @flow(name="{name}")
    def two() -> None:
        print("said two", flush=True)

    if __name__ == "__main__":
        from penstock import serve
        {call}
"""


def start(ground: Ground, call: str) -> tuple[WorkerProcess, str]:
    """The program that serves, once it does; and the name of its flow."""
    name = f"flow-{uuid4().hex[:8]}"
    ground.write(SERVED.format(name=name, call=call))
    out, err = ground.folder / "out", ground.folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "flows.py"],
            cwd=ground.folder,
            env=clean_environment(ground.folder) | {"PENSTOCK_API_URL": ground.client.api_url},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    server = WorkerProcess(process, out, err)
    ground.workers.append(server)
    server.wait_for("serving")
    return server, name


def create(ground: Ground, name: str, deployment: str, **parameters: str) -> UUID:
    found = ground.client.read_deployment_by_name(name, deployment)
    return ground.client.create_flow_run(deployment_id=found.id, parameters=parameters)


def test_a_served_flow_executes_the_runs_of_its_deployment(ground: Ground) -> None:
    call = 'one.serve("served", cron="0 0 1 1 *", tags=["t"], parameters={"word": "default"})'
    server, name = start(ground, call)
    deployment = ground.client.read_deployment_by_name(name, "served")
    assert (deployment.paused, deployment.tags, deployment.work_pool_name) == (False, ["t"], None)
    assert [s.schedule.cron for s in deployment.schedules] == ["0 0 1 1 *"]  # type: ignore[union-attr]
    ground.await_state(create(ground, name, "served"), "Completed")
    server.wait_for("said default")
    ground.await_state(create(ground, name, "served", word="once more"), "Completed")
    server.wait_for("said once more")


def test_a_served_run_is_cancelled_in_its_process(ground: Ground) -> None:
    server, name = start(ground, "one.serve()")
    run = create(ground, name, "flows", word="for ever")
    server.wait_for("said for ever")
    ground.client.set_flow_run_state(run, "CANCELLING")
    ground.await_state(run, "Cancelled")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_ends_pauses_its_schedules_and_lets_its_runs_end(
    ground: Ground, number: int
) -> None:
    server, name = start(ground, 'one.serve("served", interval=86400)')
    run = create(ground, name, "served", word="slow")
    server.wait_for("said slow")
    server.process.send_signal(number)
    assert server.process.wait(15) == 0
    assert ground.client.read_flow_run(run).state_name == "Completed"
    assert ground.client.read_deployment_by_name(name, "served").paused


def test_several_flows_are_served_together_and_may_stay_scheduled(ground: Ground) -> None:
    call = 'serve(one.to_deployment("a"), two.to_deployment("b"), pause_on_shutdown=False)'
    server, name = start(ground, call)
    runs = [create(ground, name, "a", word="one"), create(ground, name, "b")]
    for run in runs:
        ground.await_state(run, "Completed")
    server.wait_for("said two")
    assert server.stop() == 0
    assert not ground.client.read_deployment_by_name(name, "a").paused


def test_what_cannot_be_served_is_refused_at_once(client: Client, tmp_path: Path) -> None:
    @flow
    def here() -> None: ...

    with pytest.raises(TypeError, match="needs no work pool"):
        here.to_deployment("x", work_pool_name="p")
    with pytest.raises(ValueError, match="at least one"):
        serve()
