"""Watching: every line once, plain in a pipe, the right exit code, and Ctrl-C leaves the run."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from penstock.cli import history, live, watch
from penstock.contract.rest.flow_runs import FlowRunResponse
from penstock.sdk.client import Client
from penstock.sdk.errors import Unavailable
from tests.cli.conftest import PENSTOCK, Deployed, Performer, Shell, unique


@contextmanager
def performed(
    client: Client, deployed: Deployed, play: Callable[[Performer], None]
) -> Iterator[None]:
    """Plays the worker in a thread for the first run of the deployment that appears."""
    ended = threading.Event()

    def work() -> None:
        wanted = {"deployment_id": {"any_": [str(deployed.deployment_id)]}}
        while not ended.is_set():
            if found := client.read_flow_runs(flow_runs=wanted):
                play(Performer(client, found[0].id))
                return
            ended.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ended.set()
    thread.join()


def succeed(actor: Performer) -> None:
    actor.start()
    actor.say(*(f"line {number}" for number in range(250)))
    actor.enter("COMPLETED")


def crash(actor: Performer) -> None:
    actor.start()
    actor.say("the disk is full", level=40)
    actor.enter("FAILED", "no disk")


def test_a_pipe_gets_every_state_and_line_once_as_plain_text(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    with performed(client, deployed, succeed):
        answer = shell("run", deployed.path, "--watch", "--run-name", "watched")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    logged = [line.split(" INFO ")[1].strip() for line in answer.lines if " INFO " in line]
    assert logged == [f"line {number}" for number in range(250)]
    states = [line.split("STATE")[1].strip() for line in answer.lines if " STATE " in line]
    assert states == ["Scheduled", "Pending", "Running", "Completed"] or (
        # some servers say why a run was scheduled
        [state.partition(":")[0] for state in states]
        == ["Scheduled", "Pending", "Running", "Completed"]
    )
    assert answer.lines[-1].startswith("Flow run 'watched' ended Completed after ")


def test_a_run_that_fails_is_exit_code_1(shell: Shell, client: Client, deployed: Deployed) -> None:
    with performed(client, deployed, crash):
        answer = shell("run", deployed.path, "--watch")
    assert answer.code == 1
    assert "ERROR    the disk is full" in answer.out
    assert "Failed: no disk" in answer.out


def test_no_logs_leaves_the_states(shell: Shell, client: Client, deployed: Deployed) -> None:
    with performed(client, deployed, crash):
        answer = shell("run", deployed.path, "--watch", "--no-logs")
    assert "the disk is full" not in answer.out
    assert "Failed: no disk" in answer.out


def test_quiet_watching_prints_the_id_and_waits(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    with performed(client, deployed, crash):
        answer = shell("run", deployed.path, "--watch", "--quiet")
    assert answer.code == 1
    assert len(answer.lines) == 1
    assert client.read_flow_run(answer.lines[0]).state_name == "Failed"


def test_json_is_the_finished_run_and_the_lines_go_to_stderr(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    with performed(client, deployed, crash):
        answer = shell("run", deployed.path, "--watch", "--output", "json")
    assert answer.code == 1
    assert answer.json["state"]["type"] == "FAILED"
    assert "the disk is full" in answer.err


def test_a_terminal_gets_the_same_lines(shell: Shell, client: Client, deployed: Deployed) -> None:
    with performed(client, deployed, succeed):
        answer = shell("run", deployed.path, "--watch", terminal=True)
    assert answer.code == 0
    assert "line 249" in answer.out
    assert "Completed" in answer.out


def test_following_logs_ends_with_the_run_and_doubles_nothing(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    Performer(client, run).say("before")
    with performed(client, deployed, succeed):
        answer = shell("flow-run", "logs", str(run), "--follow", "--output", "json")
    assert answer.code == 0
    messages = [json.loads(line)["message"] for line in answer.lines]
    assert messages == ["before", *(f"line {number}" for number in range(250))]


def test_watching_works_without_websockets(
    shell: Shell, client: Client, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(live, "connect", refuse)
    with performed(client, deployed, succeed):
        answer = shell("run", deployed.path, "--watch")
    assert answer.code == 0
    assert answer.out.count("line 249") == 1


def test_a_signal_from_the_server_spares_the_wait(
    shell: Shell, client: Client, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLLING_SECONDS", 15.0)
    monkeypatch.setattr(live, "LISTENING_SECONDS", 15.0)

    def play(actor: Performer) -> None:
        threading.Event().wait(1.0)  # until somebody listens
        succeed(actor)

    before = time.monotonic()
    with performed(client, deployed, play):
        assert shell("run", deployed.path, "--watch").code == 0
    assert time.monotonic() - before < 12


def test_a_run_that_nobody_takes_is_remarked_on_once(
    shell: Shell, client: Client, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "UNTAKEN_AFTER", timedelta(seconds=-60))

    def take_late(actor: Performer) -> None:
        threading.Event().wait(1.5)
        succeed(actor)

    with performed(client, deployed, take_late):
        answer = shell("run", deployed.path, "--watch")
    assert answer.code == 0
    assert answer.err.count(f"penstock worker start --pool {deployed.pool}") == 1


def test_a_server_that_is_away_for_a_while_is_waited_for(
    shell: Shell, client: Client, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = history.FlowRunHistory.read_flow_run, iter([Unavailable("away")] * 2)

    def fail_twice(self: history.FlowRunHistory) -> FlowRunResponse:
        for failure in failures:
            raise failure
        return read(self)

    monkeypatch.setattr(history.FlowRunHistory, "read_flow_run", fail_twice)
    with performed(client, deployed, succeed):
        answer = shell("run", deployed.path, "--watch")
    assert answer.code == 0
    assert answer.err.count("The server does not answer; trying again.") == 1
    assert answer.out.count("line 249") == 1


def test_lines_that_prefects_client_sends_after_the_end_are_shown(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    def end_first(actor: Performer) -> None:
        actor.start()
        client.update_flow_run(actor.flow_run_id, flow_version="its file's hash")
        actor.enter("COMPLETED")
        threading.Event().wait(0.5)
        actor.say("a late line", "Finished in state Completed()")

    with performed(client, deployed, end_first):
        answer = shell("run", deployed.path, "--watch")
    assert answer.code == 0
    assert answer.out.count("a late line") == 1


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_cancel_it(
    api_url: str, client: Client, deployed: Deployed
) -> None:
    name = unique("run")
    process = subprocess.Popen(
        [*PENSTOCK, "run", deployed.path, "--watch", "--run-name", name],
        env={**os.environ, "PENSTOCK_API_URL": api_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "STATE" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    (run,) = client.read_flow_runs(flow_runs={"name": {"any_": [name]}})
    assert process.returncode == 130
    assert f"penstock flow-run cancel {run.id}" in err
    assert "Traceback" not in err
    assert run.state_type is not None
    assert run.state_type.value == "SCHEDULED"
