"""Warm templates: the second run of a flow finds it imported, and never an old one."""

from .conftest import Ground, WorkerProcess, is_alive, wait_until

REPORT = """
    import os

    IMPORTED_BY = os.getpid()

    @flow
    def main(file):
        with open(file, "w") as written:
            print("warm" if os.getpid() != IMPORTED_BY else "cold", VERSION, file=written)

    VERSION = 1
    """


def _run(ground: Ground, worker: WorkerProcess, source: str = REPORT) -> list[str]:
    """What three runs, one after the other, said."""
    deployment_id = ground.deploy(source)
    answers = []
    for number in range(3):
        file = f"answer-{number}.txt"
        ground.await_state(ground.create(deployment_id, parameters={"file": file}), "Completed")
        answers.append(ground.read_when_written(file))
        if number == 0:
            worker.wait_for("flow flows.py:main is ")
    return answers


def test_a_later_run_is_forked_from_a_process_with_its_flow_imported(ground: Ground) -> None:
    assert _run(ground, ground.work()) == ["cold 1", "warm 1", "warm 1"]


def test_changed_code_is_imported_anew(ground: Ground) -> None:
    worker = ground.work()
    deployment_id = ground.deploy(REPORT)
    ground.await_state(ground.create(deployment_id, parameters={"file": "a"}), "Completed")
    worker.wait_for("flow flows.py:main is kept warm")
    ground.write(REPORT.replace("VERSION = 1", "VERSION = 22"))
    ground.await_state(ground.create(deployment_id, parameters={"file": "b"}), "Completed")
    assert ground.read_when_written("b") == "cold 22"


def test_a_changed_module_beside_the_flow_is_noticed(ground: Ground) -> None:
    worker = ground.work()
    ground.write("VERSION = 1\n", "beside.py")
    source = "    from beside import VERSION\n" + REPORT.replace("VERSION = 1", "")
    deployment_id = ground.deploy(source)
    ground.await_state(ground.create(deployment_id, parameters={"file": "a"}), "Completed")
    worker.wait_for("flow flows.py:main is kept warm")
    ground.write("VERSION = 22\n", "beside.py")
    ground.await_state(ground.create(deployment_id, parameters={"file": "b"}), "Completed")
    assert ground.read_when_written("b") == "cold 22"


def test_a_flow_whose_import_starts_threads_runs_cold(ground: Ground) -> None:
    threads = "\n    import threading, time\n"
    threads += "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    assert _run(ground, ground.work(), threads + REPORT) == ["cold 1"] * 3


def test_a_flow_whose_import_leaves_a_connection_open_runs_cold(ground: Ground) -> None:
    connection = "\n    import socket\n    PAIR = socket.socketpair()\n"
    assert _run(ground, ground.work(), connection + REPORT) == ["cold 1"] * 3


def test_without_room_for_warm_flows_every_run_is_cold(ground: Ground) -> None:
    worker = ground.work("--warm-flows", "0")
    deployment_id = ground.deploy(REPORT)
    for file in ("a", "b"):
        ground.await_state(ground.create(deployment_id, parameters={"file": file}), "Completed")
        assert ground.read_when_written(file) == "cold 1"
    assert "kept warm" not in worker.stderr


def test_a_killed_worker_takes_along_what_a_warm_run_has_started(ground: Ground) -> None:
    worker = ground.work()
    deployment_id = ground.deploy(
        """
        import subprocess, time

        @flow
        def main(seconds):
            subprocess.Popen(["sh", "-c", "echo $$ > started.txt; sleep 60"])
            time.sleep(seconds)
        """
    )
    ground.await_state(ground.create(deployment_id, parameters={"seconds": 0}), "Completed")
    worker.wait_for("flow flows.py:main is kept warm")
    (ground.folder / "started.txt").unlink()
    ground.create(deployment_id, parameters={"seconds": 60})
    pid = int(ground.read_when_written("started.txt"))
    assert "(warm)" in worker.stderr
    worker.process.kill()
    wait_until(lambda: not is_alive(pid), "the end of the run's grandchild")
