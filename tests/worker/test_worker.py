"""Real workers against a real server."""

import os
import signal
import time

from penstock.sdk.pauses import suspend_flow_run

from .conftest import Ground, is_alive, wait_until


def test_a_run_is_executed_and_what_it_prints_is_shown(ground: Ground) -> None:
    worker = ground.work()
    deployment_id = ground.deploy("@flow\ndef main(name):\n    print('hello', name)\n")
    run_id = ground.create(deployment_id, parameters={"name": "world"}, flow_run_name="otter")
    ground.await_state(run_id, "Completed")
    worker.wait_for("otter | hello world")
    worker.wait_for("run 'otter' ended Completed")
    assert ground.client.read_flow_run(run_id).infrastructure_pid


def test_output_stays_in_the_process_when_it_is_not_to_be_streamed(ground: Ground) -> None:
    worker = ground.work()
    deployment_id = ground.deploy(
        "@flow\ndef main():\n    print('quiet')\n", job_variables={"stream_output": False}
    )
    ground.await_state(ground.create(deployment_id), "Completed")
    assert worker.stop() == 0
    assert "quiet" not in worker.stdout


def test_a_run_has_the_environment_and_folder_of_its_job_variables(ground: Ground) -> None:
    ground.work()
    (ground.folder / "elsewhere").mkdir()
    deployment_id = ground.deploy(
        """
        import os

        @flow
        def main():
            with open("here.txt", "w") as file:
                print(os.environ["COLOUR"], os.environ["SIZE"], os.getpgid(0) == os.getpid(),
                      file=file)
        """,
        job_variables={
            "env": {"COLOUR": "red", "SIZE": "1"},
            "working_dir": str(ground.folder / "elsewhere"),
        },
    )
    ground.create(deployment_id, job_variables={"env": {"SIZE": "2"}})
    assert ground.read_when_written("elsewhere/here.txt") == "red 2 True"


def test_a_command_is_executed_in_place_of_the_flow(ground: Ground) -> None:
    ground.work()
    deployment_id = ground.deploy(
        "@flow\ndef main(): ...\n",
        job_variables={"command": "sh -c 'echo $PENSTOCK_FLOW_RUN_ID > id.txt'"},
    )
    run_id = ground.create(deployment_id)
    assert ground.read_when_written("id.txt") == str(run_id)
    run = ground.await_state(run_id, "Crashed")  # The command has not ended the run.
    assert run.state is not None
    assert "exit code 0" in (run.state.message or "")


def test_an_environment_for_the_interpreter_gets_a_fresh_one(ground: Ground) -> None:
    ground.work()
    deployment_id = ground.deploy(
        """
        import sys

        @flow
        def main():
            with open("answer.txt", "w") as file:
                print(sys.flags.optimize, file=file)
        """,
        job_variables={"env": {"PYTHONOPTIMIZE": "1"}},
    )
    run_id = ground.create(deployment_id)
    assert ground.read_when_written("answer.txt") == "1"
    ground.await_state(run_id, "Completed")


def test_code_that_cannot_be_loaded_crashes_the_run_and_says_why(ground: Ground) -> None:
    ground.work()
    run_id = ground.create(ground.deploy("import no_such_module\n"))
    run = ground.await_state(run_id, "Crashed")
    assert run.state is not None
    assert "No module named 'no_such_module'" in (run.state.message or "")


def test_a_process_that_exits_by_itself_crashes_its_run(ground: Ground) -> None:
    ground.work()
    run_id = ground.create(ground.deploy("import os\n@flow\ndef main():\n    os._exit(3)\n"))
    run = ground.await_state(run_id, "Crashed")
    assert run.state is not None
    assert "exit code 3" in (run.state.message or "")


SLEEPER = """
    import os, time

    @flow
    def main():
        with open("pid.txt", "w") as file:
            print(os.getpid(), file=file)
        time.sleep(60)
    """


def test_a_killed_process_crashes_its_run_at_once(ground: Ground) -> None:
    ground.work()
    run_id = ground.create(ground.deploy(SLEEPER))
    os.kill(int(ground.read_when_written("pid.txt")), signal.SIGKILL)
    run = ground.await_state(run_id, "Crashed")
    assert run.state is not None
    assert "SIGKILL" in (run.state.message or "")


def test_the_processes_of_a_killed_worker_die(ground: Ground) -> None:
    worker = ground.work()
    ground.create(ground.deploy(SLEEPER))
    pid = int(ground.read_when_written("pid.txt"))
    assert is_alive(pid)
    worker.process.kill()
    wait_until(lambda: not is_alive(pid), "the end of the run's process")


def test_the_process_of_a_run_that_is_suspended_from_outside_is_ended_soon(ground: Ground) -> None:
    ground.work()
    deployment_id = ground.deploy(
        """
        import os, pathlib, time

        @flow
        def main():
            pathlib.Path("pid.txt").write_text(f"{os.getpid()}\\n")
            time.sleep(60)
        """
    )
    run_id = ground.create(deployment_id)
    pid = int(ground.read_when_written("pid.txt"))
    ground.await_state(run_id, "Running")
    suspended_at = time.monotonic()
    suspend_flow_run(flow_run_id=run_id, timeout_seconds=None, client=ground.client)
    wait_until(lambda: not is_alive(pid), "the end of the process")
    assert time.monotonic() - suspended_at < 9
    assert ground.client.read_flow_run(run_id).state_name == "Suspended"


def test_cancelling_ends_the_whole_group_even_a_deaf_grandchild(ground: Ground) -> None:
    ground.work("--grace-seconds", "1")
    deployment_id = ground.deploy(
        """
        import subprocess, time

        @flow
        def main():
            script = "trap '' TERM; echo $$ > grandchild.txt; while true; do sleep 1; done"
            subprocess.Popen(["sh", "-c", script])
            time.sleep(60)
        """
    )
    run_id = ground.create(deployment_id)
    pid = int(ground.read_when_written("grandchild.txt"))
    ground.await_state(run_id, "Running")
    ground.client.set_flow_run_state(run_id, {"type": "CANCELLING"})
    ground.await_state(run_id, "Cancelled")
    assert not is_alive(pid)


def test_a_flow_that_ignores_the_request_to_end_is_killed_after_the_grace(ground: Ground) -> None:
    worker = ground.work("--grace-seconds", "0.5")
    deployment_id = ground.deploy(
        """
        import os, signal, time

        @flow
        def main():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open("pid.txt", "w") as file:
                print(os.getpid(), file=file)
            time.sleep(60)
        """
    )
    run_id = ground.create(deployment_id)
    ground.read_when_written("pid.txt")
    ground.client.set_flow_run_state(run_id, {"type": "CANCELLING"})
    ground.await_state(run_id, "Cancelled")
    assert "did not end in 0.5 seconds, killed" in worker.stderr


def test_a_job_with_a_time_out_fails_as_timed_out(ground: Ground) -> None:
    ground.work("--grace-seconds", "1")
    deployment_id = ground.deploy(SLEEPER, job_variables={"timeout_seconds": 1})
    run = ground.await_state(ground.create(deployment_id), "TimedOut")
    assert run.state_type == "FAILED"


def test_a_worker_that_is_asked_to_stop_lets_its_run_end(ground: Ground) -> None:
    worker = ground.work()
    deployment_id = ground.deploy(
        """
        import os, time

        @flow
        def main():
            open("started.txt", "w").write("yes\\n")
            while not os.path.exists("go.txt"):
                time.sleep(0.02)
        """
    )
    run_id = ground.create(deployment_id)
    ground.read_when_written("started.txt")
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for("waiting for 1 run")
    later = ground.create(deployment_id)
    (ground.folder / "go.txt").touch()
    assert worker.process.wait(15) == 0
    assert ground.client.read_flow_run(run_id).state_name == "Completed"
    assert ground.client.read_flow_run(later).state_type == "SCHEDULED"


def test_a_second_signal_ends_the_runs_too(ground: Ground) -> None:
    worker = ground.work()
    run_id = ground.create(ground.deploy(SLEEPER))
    ground.read_when_written("pid.txt")
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for("waiting for 1 run")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(15) == 0
    run = ground.client.read_flow_run(run_id)
    assert run.state_name == "Crashed"
    assert run.state is not None
    assert "worker was stopped" in (run.state.message or "")


def test_two_workers_never_execute_the_same_run(ground: Ground) -> None:
    ground.work()
    ground.work()
    deployment_id = ground.deploy(
        """
        from penstock.worker.child import FLOW_RUN_ID
        import os

        @flow
        def main():
            with open("runs.txt", "a") as file:
                print(os.environ[FLOW_RUN_ID], file=file)
        """
    )
    run_ids = [ground.create(deployment_id) for _ in range(12)]
    for run_id in run_ids:
        ground.await_state(run_id, "Completed")
    executed = (ground.folder / "runs.txt").read_text().split()
    assert sorted(executed) == sorted(map(str, run_ids))


def test_no_more_runs_at_once_than_the_limit(ground: Ground) -> None:
    ground.work("--limit", "1")
    deployment_id = ground.deploy(
        """
        import os, time

        @flow
        def main():
            os.mkdir("alone")  # Fails when another run is inside.
            time.sleep(0.2)
            os.rmdir("alone")
        """
    )
    for run_id in [ground.create(deployment_id) for _ in range(3)]:
        ground.await_state(run_id, "Completed")


def test_a_worker_takes_runs_of_its_queues_only(ground: Ground) -> None:
    ground.work("--limit", "5").stop()  # Makes the pool.
    ground.client.create_work_queue(ground.pool, name="fast")
    ground.work("--queue", "fast")
    source = "@flow\ndef main(): ...\n"
    slow = ground.create(ground.deploy(source))
    fast = ground.create(ground.deploy(source, work_queue_name="fast"))
    ground.await_state(fast, "Completed")
    assert ground.client.read_flow_run(slow).state_type == "SCHEDULED"


def test_a_worker_appears_in_its_pool(ground: Ground) -> None:
    ground.work()
    wait_until(lambda: ground.client.read_workers(ground.pool), "a worker in the pool")
    assert ground.client.read_workers(ground.pool)[0].name == "worker-0"


def test_a_run_that_finds_no_slot_of_its_deployment_is_left_to_wait(ground: Ground) -> None:
    worker = ground.work()
    source = """
        import time
        from pathlib import Path

        @flow
        def main():
            while not Path("go").exists():
                time.sleep(0.05)
        """
    deployment_id = ground.deploy(source, concurrency_limit=1)
    first = ground.create(deployment_id)
    ground.await_state(first, "Running")
    second = ground.create(deployment_id, flow_run_name="heron")
    ground.await_state(second, "AwaitingConcurrencySlot")
    worker.wait_for("run 'heron' not taken")
    (ground.folder / "go").touch()
    ground.await_state(first, "Completed")
    limit = ground.client.read_deployment(deployment_id).global_concurrency_limit
    assert limit is not None
    assert limit.active_slots == 0
