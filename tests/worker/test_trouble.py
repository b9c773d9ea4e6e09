"""Servers that go away, and runs that are taken away."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.sdk.client import Client
from tests.provision import ServerProcess

from .conftest import Ground, is_alive, wait_until

SLEEPER = """
    import os, time

    @flow
    def main():
        with open("pid.txt", "w") as file:
            print(os.getpid(), file=file)
        time.sleep(60)
    """


def test_a_worker_outlives_its_server_and_says_so_once(tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path / 'penstock.db'}"
    with ServerProcess(database_url, tmp_path / "home") as server, Client(server.url) as client:
        ground = Ground(client, tmp_path)
        worker = ground.work()
        try:
            deployment_id = ground.deploy("@flow\ndef main(): ...\n")
            server.kill()
            worker.wait_for("trouble with the server")
            port = str(urlsplit(server.url).port)
            with ServerProcess(database_url, tmp_path / "home", "--port", port):
                ground.await_state(ground.create(deployment_id), "Completed")
                assert worker.stop() == 0
            assert worker.stderr.count("trouble with the server") == 1
            assert worker.stderr.count("the server answers again") == 1
        finally:
            worker.process.kill()
            worker.process.wait()


@pytest.mark.timeout(40)
def test_a_run_that_was_ended_from_outside_loses_its_process(ground: Ground) -> None:
    worker = ground.work()
    run_id = ground.create(ground.deploy(SLEEPER))
    pid = int(ground.read_when_written("pid.txt"))
    ground.client.set_flow_run_state(run_id, {"type": "CANCELLED"}, force=True)
    wait_until(lambda: not is_alive(pid), "the end of the run's process")
    worker.wait_for("no longer ours")
    assert ground.client.read_flow_run(run_id).state_name == "Cancelled"


def test_a_pool_for_other_workers_is_refused(ground: Ground) -> None:
    ground.client.create_work_pool(ground.pool, type="docker")
    worker = ground.start()
    assert worker.process.wait(15) == 1
    assert "is for docker workers" in worker.stderr


def test_a_missing_pool_is_named_when_it_is_not_to_be_made(ground: Ground) -> None:
    worker = ground.start("--no-create-pool-if-missing")
    assert worker.process.wait(15) == 1
    assert f"penstock work-pool create {ground.pool}" in worker.stderr
