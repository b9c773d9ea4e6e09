"""The table of rules: every pair of states, then each rule."""

from typing import Any
from uuid import uuid4

import pytest

from penstock.contract.enums import SetStateStatus
from penstock.core.bookkeeping import NEW_RUN, RunFacts
from penstock.core.flow_run_rules import Outcome, decide_flow_run_state
from penstock.core.states import State, StateType, make_state
from tests.core.runs import NOW, C, F, G, K, P, R, S, U, X, ago, ahead, run_in, state

RESULT = '{"type":"reference"}'

# A run of a deployment, without process, retries and result; states of ten seconds ago.
# yes: accepted, no: the current state stays, abort, Cancelled: that state instead
TABLE = """
            SCHEDULED PENDING RUNNING COMPLETED FAILED CANCELLED CRASHED PAUSED CANCELLING
none        yes       yes     yes     yes       yes    yes       yes     abort  yes
SCHEDULED   yes       yes     yes     yes       yes    yes       yes     no     Cancelled
PENDING     yes       abort   yes     yes       yes    yes       yes     no     yes
RUNNING     yes       abort   yes     yes       yes    yes       yes     yes    yes
COMPLETED   yes       abort   yes     yes       yes    yes       abort   abort  abort
FAILED      yes       abort   yes     yes       yes    yes       abort   abort  abort
CANCELLED   yes       abort   yes     yes       yes    yes       abort   abort  abort
CRASHED     yes       abort   yes     yes       yes    yes       abort   abort  abort
PAUSED      yes       no      yes     yes       yes    yes       yes     no     yes
CANCELLING  no        no      no      no        no     yes       no      no     no
"""
HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(row[0], to, cell) for row in ROWS for to, cell in zip(HEAD, row[1:], strict=True)]


def decide(run: RunFacts, proposed: State, **how: Any) -> Outcome:
    return decide_flow_run_state(run, proposed, NOW, **how)


def answer(outcome: Outcome) -> str:
    """The decision in the words of the table."""
    status = outcome.decision.status
    if status is not SetStateStatus.ACCEPT:
        assert outcome.decision.reason
    if status is SetStateStatus.REJECT:
        return "no" if outcome.state is None else outcome.state.name
    if status is SetStateStatus.WAIT:
        return f"wait {outcome.decision.delay_seconds}"
    return "yes" if status is SetStateStatus.ACCEPT else "abort"


@pytest.mark.parametrize(("source", "target", "expected"), CELLS)
def test_every_pair_of_states_has_its_answer(source: str, target: str, expected: str) -> None:
    run = run_in(None if source == "none" else StateType[source])
    outcome = decide(run, state(StateType[target]))
    assert answer(outcome) == expected
    written = expected in ("yes", "Cancelled")
    assert (outcome.state is not None) is written
    assert bool(outcome.changes) is written


@pytest.mark.parametrize(("source", "target", "expected"), CELLS)
def test_force_accepts_all_but_a_cancelling_that_has_nothing_to_cancel(
    source: str, target: str, expected: str
) -> None:
    run = run_in(None if source == "none" else StateType[source])
    outcome = decide(run, state(StateType[target]), minimal=True)
    assert answer(outcome) == ("Cancelled" if expected == "Cancelled" else "yes")


def test_what_is_written_always_names_the_same_columns() -> None:
    columns = decide(NEW_RUN, state(S)).changes.keys()
    assert columns == decide(run_in(R, retries=1), state(F)).changes.keys()
    assert columns == decide(run_in(R), state(U)).changes.keys()
    assert {"retry_type", "pause_keys", "attempt_id", "attempt_expires_at"} <= columns


# 2


def test_the_same_transition_changes_nothing_the_second_time() -> None:
    id = uuid4()
    run = run_in(make_state(R, ago(seconds=1), details={"transition_id": str(id)}))
    assert answer(decide(run, state(C, transition_id=id))) == "no"
    assert answer(decide(run, state(C, transition_id=uuid4()))) == "yes"


def test_a_repeated_failure_finds_the_retry_it_caused() -> None:
    failed = state(F, transition_id=uuid4())
    retry = decide(run_in(R, retries=3), failed).state
    assert answer(decide(run_in(retry, retries=3), failed)) == "no"


# 3


@pytest.mark.parametrize("minimal", [False, True])
def test_a_persisted_result_is_not_replaced_by_none(minimal: bool) -> None:
    run = run_in(state(C, data=RESULT))
    assert answer(decide(run, state(C), minimal=minimal)) == "no"
    assert answer(decide(run, state(C, data=RESULT), minimal=minimal)) == "yes"


@pytest.mark.parametrize("target", [S, R])
def test_a_run_with_a_persisted_result_is_not_run_again(target: StateType) -> None:
    assert answer(decide(run_in(state(C, data=RESULT)), state(target))) == "no"
    assert answer(decide(run_in(state(C, data='{"type":"unpersisted"}')), state(target))) == "yes"


def test_a_run_without_a_deployment_is_not_scheduled_again() -> None:
    assert answer(decide(run_in(F, deployment_id=None), state(S))) == "abort"
    assert answer(decide(run_in(F, deployment_id=None), state(R))) == "yes"


@pytest.mark.parametrize(("target", "retry_type"), [(S, "reschedule"), (R, None)])
def test_a_run_that_is_run_again_forgets_its_pauses(
    target: StateType, retry_type: str | None
) -> None:
    run = run_in(F, resuming=True, pause_keys=["a"], retry_type="in_process")
    changes = decide(run, state(target)).changes
    assert (changes["resuming"], changes["pause_keys"]) == (False, [])
    assert changes["retry_type"] == retry_type
    assert changes["run_count"] == (2 if target is R else 1)


# 5


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_in(S, infrastructure_pid="7"), "yes"),
        (run_in(state(S, "Resuming"), infrastructure_pid="7"), "Cancelled"),
        (run_in(state(U, pause_reschedule=True), infrastructure_pid="7"), "Cancelled"),
        (run_in(U), "yes"),
    ],
)
def test_a_run_without_a_process_is_cancelled_at_once(run: RunFacts, expected: str) -> None:
    outcome = decide(run, state(G))
    assert answer(outcome) == expected
    assert (outcome.changes["end_time"] is not None) is (expected == "Cancelled")


# 6


@pytest.mark.parametrize(
    ("current", "proposed", "expected"),
    [
        ("Pending", "Submitting", "yes"),
        ("Submitting", "InfrastructurePending", "yes"),
        ("Submitting", "Pending", "abort"),
        ("Submitting", "Submitting", "abort"),
    ],
)
def test_who_has_taken_a_run_tells_how_far_its_infrastructure_is(
    current: str, proposed: str, expected: str
) -> None:
    run = run_in(state(P, current, scheduled_time=ahead(hours=1)))
    outcome = decide(run, state(P, proposed))
    assert answer(outcome) == expected
    if outcome.state is not None:
        assert outcome.state.details == {"scheduled_time": ahead(hours=1)}


# 10


@pytest.mark.parametrize(
    ("current", "expected"),
    [(None, "no"), (state(P), "no"), (state(S, "Late"), "no"), (state(S), "yes")],
)
def test_only_a_scheduled_run_gets_late_and_only_once(current: State | None, expected: str) -> None:
    assert answer(decide(run_in(current), state(S, "Late"))) == expected


# 11


def test_each_pause_is_taken_once() -> None:
    outcome = decide(run_in(R, pause_keys=["1"]), state(U, pause_key="2"))
    assert outcome.changes["pause_keys"] == ["1", "2"]
    assert answer(decide(run_in(R, pause_keys=["1"]), state(U, pause_key="1"))) == "no"


def test_a_pause_without_a_key_is_given_one() -> None:
    (key,) = decide(run_in(R), state(U)).changes["pause_keys"]
    assert len(key) == 36


def test_only_a_run_of_a_deployment_can_be_suspended() -> None:
    suspended = state(U, "Suspended", pause_reschedule=True)
    assert answer(decide(run_in(R), suspended)) == "yes"
    assert answer(decide(run_in(R, deployment_id=None), suspended)) == "abort"
    assert answer(decide(run_in(R, parent_task_run_id=uuid4()), suspended)) == "abort"


# 12


def test_a_resumed_run_is_counted_and_the_next_run_of_it_is_not() -> None:
    resumed = decide(run_in(U), state(R))
    assert (resumed.changes["run_count"], resumed.changes["resuming"]) == (2, True)
    again = run_in(R, run_count=2, resuming=True)
    assert decide(again, state(R)).changes["run_count"] == 2


def test_a_suspended_run_without_a_deployment_cannot_go_on() -> None:
    run = run_in(state(U, pause_reschedule=True), deployment_id=None)
    assert answer(decide(run, state(R))) == "no"
    assert answer(decide(run_in(state(U, pause_reschedule=True)), state(S))) == "yes"


@pytest.mark.parametrize(
    ("timeout", "target", "expected"),
    [
        (ago(seconds=1), R, "Failed"),
        (ago(seconds=1), F, "yes"),
        (ahead(seconds=1), R, "yes"),
        (ago(seconds=1), G, "yes"),
    ],
)
def test_a_run_that_was_paused_for_too_long_fails(
    timeout: Any, target: StateType, expected: str
) -> None:
    outcome = decide(run_in(state(U, pause_timeout=timeout.isoformat())), state(target))
    if target is F:  # the replacement is of the same type
        assert outcome.state is not None
        assert outcome.state.type is F
    else:
        assert answer(outcome) == expected


# 13, 14


def test_a_run_that_is_taken_early_keeps_its_time() -> None:
    run = run_in(state(S, scheduled_time=ahead(hours=1)))
    taken = decide(run, state(P)).state
    assert taken is not None
    assert taken.details == {"scheduled_time": ahead(hours=1)}
    own = decide(run, state(P, scheduled_time=ahead(hours=2))).state
    assert own is not None
    assert own.details == {"scheduled_time": ahead(hours=2)}


@pytest.mark.parametrize("type", [S, P])
@pytest.mark.parametrize(
    ("seconds", "expected"), [(-5, "yes"), (0.4, "yes"), (1, "wait 1"), (90.4, "wait 90")]
)
def test_a_run_does_not_start_before_its_time(
    type: StateType, seconds: float, expected: str
) -> None:
    run = run_in(state(type, scheduled_time=ahead(seconds=seconds)))
    outcome = decide(run, state(R))
    assert answer(outcome) == expected
    assert (outcome.state is None) is expected.startswith("wait")


# 15


def test_a_failed_run_with_retries_left_waits_and_tries_again() -> None:
    failed = make_state(F, NOW, message="boom", data='{"a":1}')
    run = run_in(R, retries=1, retry_delay=30, run_count=1, resuming=True, pause_keys=["k"])
    outcome = decide(run, failed)
    assert answer(outcome) == "AwaitingRetry"
    assert outcome.state is not None
    assert (outcome.state.type, outcome.state.message, outcome.state.data) == (
        S,
        "boom",
        '{"a":1}',
    )
    changes = outcome.changes
    assert changes["next_scheduled_start_time"] == ahead(seconds=30)
    assert changes["total_run_time"] == 10
    assert (changes["resuming"], changes["pause_keys"]) == (False, [])
    assert (changes["retry_type"], changes["end_time"]) == ("in_process", None)


@pytest.mark.parametrize(("retries", "run_count"), [(None, 1), (0, 1), (1, 2)])
def test_a_failed_run_without_retries_left_has_failed(retries: int | None, run_count: int) -> None:
    run = run_in(R, retries=retries, run_count=run_count, retry_type="in_process")
    outcome = decide(run, state(F))
    assert answer(outcome) == "yes"
    assert outcome.changes["retry_type"] is None


def test_cancelled_and_crashed_runs_are_not_retried() -> None:
    assert answer(decide(run_in(R, retries=3), state(X))) == "yes"
    assert answer(decide(run_in(R, retries=3), state(K))) == "yes"


@pytest.mark.parametrize("current", [P, R, U])
@pytest.mark.parametrize("force", [False, True])
def test_a_run_that_leaves_its_process_after_a_retry_there_is_for_any_worker(
    current: StateType, force: bool
) -> None:
    run = run_in(current, retry_type="in_process", attempt_id=uuid4(), attempt_expires_at=NOW)
    changes = decide(run, state(S), minimal=force).changes
    assert (changes["retry_type"], changes["attempt_expires_at"]) == ("reschedule", None)


def test_a_run_that_waits_in_its_process_stays_there() -> None:
    run = run_in(S, retry_type="in_process")
    assert decide(run, state(S)).changes["retry_type"] == "in_process"
    ended = run_in(X, retry_type="in_process")
    assert decide(ended, state(S), minimal=True).changes["retry_type"] == "reschedule"
