"""Who may write the states of a run, and for how long."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from penstock.contract.enums import SetStateStatus
from penstock.core.attempts import (
    LEASE_SECONDS,
    MAX_LOST,
    ON_LOST,
    count_losses,
    may_be_rescheduled,
    state_after_loss,
)
from penstock.core.bookkeeping import NEW_RUN, RunFacts
from penstock.core.flow_run_rules import Outcome, decide_flow_run_state
from penstock.core.states import State, StateType
from tests.core.runs import NOW, C, F, G, K, P, R, S, U, X, ago, ahead, run_in, state

MINE, OTHER = uuid4(), uuid4()
EXPIRES = NOW + timedelta(seconds=LEASE_SECONDS)


def held(current: StateType | State, by: UUID = MINE, **facts: Any) -> RunFacts:
    return run_in(current, attempt_id=by, attempt_expires_at=ahead(seconds=5), **facts)


def over(current: StateType | State, by: UUID = MINE, **facts: Any) -> RunFacts:
    return run_in(current, attempt_id=by, attempt_expires_at=None, **facts)


def status(run: RunFacts, proposed: State, attempt: UUID | None) -> str:
    return decide_flow_run_state(run, proposed, NOW, attempt=attempt).decision.status.value


def holder(outcome: Outcome) -> tuple[Any, Any]:
    return outcome.changes["attempt_id"], outcome.changes["attempt_expires_at"]


@pytest.mark.parametrize(
    ("run", "proposed"),
    [(run_in(S), P), (run_in(P), R), (NEW_RUN, P), (over(S, OTHER), P), (over(P, OTHER), R)],
)
def test_a_new_attempt_takes_a_run_that_nobody_holds(run: RunFacts, proposed: StateType) -> None:
    outcome = decide_flow_run_state(run, state(proposed), NOW, attempt=MINE)
    assert outcome.decision.status is SetStateStatus.ACCEPT
    assert holder(outcome) == (MINE, EXPIRES)


@pytest.mark.parametrize(
    ("run", "proposed"),
    [
        (held(P, OTHER), R),  # replaced
        (held(S, OTHER), P),  # waits for its retry in another process
        (held(R, OTHER), C),
        (over(S, OTHER), R),  # must be taken first
        (over(K, OTHER), R),
        (over(K, OTHER), C),
        (run_in(R), C),  # never had an attempt
        (over(K), R),  # lost
        (over(K), C),
        (over(S), P),  # lost and scheduled again
        (over(C), F),
    ],
)
def test_an_attempt_that_is_not_the_current_one_is_told_to_stop(
    run: RunFacts, proposed: StateType
) -> None:
    outcome = decide_flow_run_state(run, state(proposed), NOW, attempt=MINE)
    assert outcome.decision.status is SetStateStatus.ABORT
    assert "attempt" in str(outcome.decision.reason)
    assert (outcome.state, outcome.changes) == (None, {})


def test_force_does_not_let_a_lost_attempt_write() -> None:
    outcome = decide_flow_run_state(over(K), state(C), NOW, attempt=MINE, minimal=True)
    assert outcome.decision.status is SetStateStatus.ABORT
    assert "lost" in str(outcome.decision.reason)


def test_the_current_attempt_keeps_the_run_with_every_write() -> None:
    outcome = decide_flow_run_state(held(P), state(R), NOW, attempt=MINE)
    assert holder(outcome) == (MINE, EXPIRES)


def test_a_write_without_an_attempt_leaves_the_holder_alone() -> None:
    outcome = decide_flow_run_state(held(R), state(StateType.CANCELLING), NOW)
    assert holder(outcome) == (MINE, ahead(seconds=5))


def test_a_last_write_sent_twice_finds_its_own_answer() -> None:
    current = state(C, transition_id=uuid4())
    assert status(over(current), current, MINE) == "REJECT"


@pytest.mark.parametrize("proposed", [state(C), state(K), state(U, pause_reschedule=True)])
def test_an_attempt_is_over_when_the_run_ends_or_leaves_its_process(proposed: State) -> None:
    outcome = decide_flow_run_state(held(R), proposed, NOW, attempt=MINE)
    assert holder(outcome) == (MINE, None)


def test_an_attempt_lasts_through_a_blocking_pause_and_a_retry_in_process() -> None:
    paused = decide_flow_run_state(held(R), state(U), NOW, attempt=MINE)
    assert holder(paused) == (MINE, EXPIRES)
    retried = decide_flow_run_state(held(R, retries=1), state(F), NOW, attempt=MINE)
    assert retried.state is not None
    assert retried.state.name == "AwaitingRetry"
    assert holder(retried) == (MINE, EXPIRES)
    run = held(retried.state, retry_type="in_process")
    assert status(run, state(R), MINE) == "ACCEPT"


def test_scheduling_a_run_anew_takes_it_from_its_attempt() -> None:
    outcome = decide_flow_run_state(held(R), state(S, scheduled_time=ago(minutes=1)), NOW)
    assert holder(outcome) == (MINE, None)


# What becomes of a run whose attempt is lost


def test_only_a_run_of_a_deployment_with_the_label_is_rescheduled() -> None:
    label = {ON_LOST: "reschedule"}
    assert may_be_rescheduled(label, uuid4())
    assert not may_be_rescheduled(label, None)
    assert not may_be_rescheduled({ON_LOST: "crash"}, uuid4())
    assert not may_be_rescheduled({}, uuid4())


@pytest.mark.parametrize(
    ("current", "labels", "losses", "expected"),
    [
        (R, {}, None, (K, "Crashed")),
        (P, {}, None, (K, "Crashed")),
        (G, {}, None, (X, "Cancelled")),
        (G, {}, 0, (X, "Cancelled")),
        (R, {}, 0, (S, "Rescheduled")),
        (P, {}, 2, (S, "Rescheduled")),
        (U, {}, 2, (S, "Rescheduled")),
        (R, {}, 3, (K, "Crashed")),
        (R, {MAX_LOST: 1}, 0, (S, "Rescheduled")),
        (R, {MAX_LOST: 1}, 1, (K, "Crashed")),
        (R, {MAX_LOST: 0}, 0, (K, "Crashed")),
        (R, {MAX_LOST: "many"}, 2, (S, "Rescheduled")),
        (R, {MAX_LOST: True}, 2, (S, "Rescheduled")),
    ],
)
def test_a_lost_run_waits_for_another_worker_or_ends(
    current: StateType, labels: dict[str, Any], losses: int | None, expected: tuple[Any, str]
) -> None:
    after = state_after_loss(current, labels, losses, NOW)
    assert (after.type, after.name) == expected
    assert after.message is not None
    assert "not renewed" in after.message


def test_losses_are_counted_from_the_last_end_on() -> None:
    lost = ("SCHEDULED", "Rescheduled")
    assert count_losses([]) == 0
    assert count_losses([lost, ("PENDING", "Pending"), lost, ("SCHEDULED", "Late")]) == 2
    assert count_losses([lost, ("CRASHED", "Crashed"), ("SCHEDULED", "Scheduled"), lost]) == 1


@pytest.mark.parametrize("ended", [C, F, X, K])
def test_a_run_that_has_ended_is_not_taken_by_a_worker_that_comes_late(ended: StateType) -> None:
    for attempt in (MINE, None):
        assert status(over(ended, OTHER), state(P), attempt) == "ABORT"
