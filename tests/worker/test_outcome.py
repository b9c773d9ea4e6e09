"""What becomes of a run when its process has ended."""

from typing import Any
from uuid import uuid4

import pytest

from penstock.contract.rest.flow_runs import FlowRun
from penstock.worker.outcome import Ending, describe_exit, final_state


def make_run(state_type: str, state_name: str | None = None, retry_type: str | None = None) -> Any:
    return FlowRun.model_validate(
        {
            "id": uuid4(),
            "created": None,
            "updated": None,
            "flow_id": uuid4(),
            "state_type": state_type,
            "state_name": state_name or state_type.title(),
            "empirical_policy": {"retry_type": retry_type},
        }
    )


@pytest.mark.parametrize("state_type", ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"])
def test_a_run_that_has_ended_keeps_its_state(state_type: str) -> None:
    assert final_state(make_run(state_type), 0, None, None) is None
    assert final_state(make_run(state_type), 1, Ending.STOPPED, None) is None


@pytest.mark.parametrize("state_type", ["PENDING", "RUNNING"])
@pytest.mark.parametrize("code", [0, 1, -9, None])
def test_a_run_left_behind_by_its_process_has_crashed(state_type: str, code: int | None) -> None:
    state = final_state(make_run(state_type), code, None, None)
    assert state == {"type": "CRASHED", "message": describe_exit(code)}


def test_a_cancelled_run_is_cancelled_however_its_process_ended() -> None:
    for ending in (None, Ending.CANCELLED, Ending.STOPPED):
        state = final_state(make_run("CANCELLING"), 143, ending, None)
        assert state is not None
        assert state["type"] == "CANCELLED"


def test_a_run_that_waits_for_any_worker_is_left_alone() -> None:
    assert final_state(make_run("SCHEDULED", "Resuming", "reschedule"), 0, None, None) is None
    assert final_state(make_run("PAUSED", "Suspended"), 0, None, None) is None


def test_a_run_that_waited_for_its_retry_inside_the_process_has_crashed() -> None:
    state = final_state(make_run("SCHEDULED", "AwaitingRetry", "in_process"), -15, None, None)
    assert state is not None
    assert state["type"] == "CRASHED"


def test_a_run_out_of_time_fails_but_one_that_made_it_has_completed() -> None:
    state = final_state(make_run("CRASHED"), -9, Ending.TIMED_OUT, 1.5)
    assert state is not None
    assert (state["type"], state["name"]) == ("FAILED", "TimedOut")
    assert "1.5 seconds" in state["message"]
    assert final_state(make_run("COMPLETED"), 0, Ending.TIMED_OUT, 1.5) is None


def test_a_lost_attempt_writes_nothing() -> None:
    assert final_state(make_run("RUNNING"), -9, Ending.LOST, None) is None


def test_exit_codes_are_described() -> None:
    assert "exit code 3" in describe_exit(3)
    assert "SIGKILL (out of memory?)" in describe_exit(-9)
    assert "SIGSEGV" in describe_exit(-11)
