"""The table of rules for task runs: every pair of states by each policy, then each rule."""

from typing import Any
from uuid import uuid4

import pytest

from penstock.contract.enums import SetStateStatus
from penstock.core.flow_run_rules import Outcome
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, make_state
from penstock.core.task_run_rules import (
    Policy,
    TaskRunFacts,
    cache_key_to_remember,
    decide_task_run_state,
    is_for_task_workers,
    keeps_tag_slots,
    policy_for,
    wanted_cache_key,
    wants_tag_slots,
)
from tests.core.runs import NOW, C, F, G, K, P, R, S, U, X, ago, ahead, state

RESULT = '{"type":"reference"}'

# A task run of a flow run that is RUNNING, without retries and result; states of ten seconds ago.
# yes: accepted, no: the current state stays, abort, Rerunning: accepted with that name
NORMAL = """
            SCHEDULED PENDING RUNNING   COMPLETED FAILED CANCELLED CRASHED PAUSED CANCELLING
none        yes       yes     yes       yes       yes    yes       yes     yes    yes
SCHEDULED   yes       yes     yes       yes       yes    yes       yes     yes    yes
PENDING     yes       yes     yes       yes       yes    yes       yes     yes    yes
RUNNING     yes       yes     Rerunning yes       yes    yes       yes     yes    yes
COMPLETED   yes       yes     yes       yes       yes    yes       abort   abort  abort
FAILED      yes       yes     yes       yes       yes    yes       abort   abort  abort
CANCELLED   yes       yes     yes       yes       yes    yes       abort   abort  abort
CRASHED     yes       yes     yes       yes       yes    yes       abort   abort  abort
PAUSED      yes       yes     Rerunning yes       yes    yes       yes     yes    yes
CANCELLING  yes       yes     Rerunning yes       yes    yes       yes     yes    yes
"""
# The same outside of any flow run, in the background.
BACKGROUND = """
            SCHEDULED PENDING RUNNING   COMPLETED FAILED CANCELLED CRASHED PAUSED CANCELLING
none        yes       yes     yes       yes       yes    yes       yes     yes    yes
SCHEDULED   yes       yes     yes       yes       yes    yes       yes     yes    yes
PENDING     yes       abort   yes       yes       yes    yes       yes     yes    yes
RUNNING     yes       abort   Rerunning yes       yes    yes       yes     yes    yes
COMPLETED   yes       yes     yes       yes       yes    yes       abort   abort  abort
FAILED      yes       yes     yes       yes       yes    yes       abort   abort  abort
CANCELLED   yes       abort   yes       yes       yes    yes       abort   abort  abort
CRASHED     yes       yes     yes       yes       yes    yes       abort   abort  abort
PAUSED      yes       yes     Rerunning yes       yes    yes       yes     yes    yes
CANCELLING  yes       abort   Rerunning yes       yes    yes       yes     yes    yes
"""


def cells(table: str) -> list[tuple[str, str, str]]:
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return [(row[0], to, cell) for row in rows for to, cell in zip(head, row[1:], strict=True)]


def task_run_in(current: State | StateType | None, **facts: Any) -> TaskRunFacts:
    """A task run of a running flow run that has been in this state for ten seconds."""
    if isinstance(current, StateType):
        current = make_state(current, ago(seconds=10))
    started = None if current is None or current.type in (S, P) else ago(minutes=1)
    ended = ago(seconds=10) if current and current.type in TERMINAL_STATE_TYPES else None
    known: dict[str, Any] = {
        "state": current,
        "run_count": 0 if started is None else 1,
        "start_time": started,
        "end_time": ended,
        "flow_run_id": uuid4(),
        "flow_run_state": state(R),
        "flow_run_count": 1,
        "flow_run_run_count": 1,
    }
    return TaskRunFacts(**(known | facts))


def decide(run: TaskRunFacts, proposed: State, policy: Policy = Policy.NORMAL) -> Outcome:
    return decide_task_run_state(run, proposed, NOW, policy)


def answer(outcome: Outcome) -> str:
    """The decision in the words of the table."""
    status, written = outcome.decision.status, outcome.state
    if status is not SetStateStatus.ACCEPT:
        assert outcome.decision.reason
    if status is SetStateStatus.REJECT:
        return "no" if written is None else written.name
    if status is SetStateStatus.WAIT:
        return f"wait {outcome.decision.delay_seconds}"
    if status is SetStateStatus.ABORT:
        return "abort"
    assert written is not None
    return written.name if written.name in ("Rerunning", "Retrying") else "yes"


@pytest.mark.parametrize(
    ("policy", "source", "target", "expected"),
    [(Policy.NORMAL, *cell) for cell in cells(NORMAL)]
    + [(Policy.BACKGROUND, *cell) for cell in cells(BACKGROUND)],
)
def test_every_pair_of_states_has_its_answer(
    policy: Policy, source: str, target: str, expected: str
) -> None:
    current = None if source == "none" else StateType[source]
    outcome = decide(task_run_in(current), state(StateType[target]), policy)
    assert answer(outcome) == expected
    assert (outcome.state is None) is (expected == "abort")
    assert bool(outcome.changes) is (outcome.state is not None)
    forced = decide(task_run_in(current), state(StateType[target]), Policy.MINIMAL)
    assert answer(forced) == "yes"


def test_the_proposal_says_by_which_rules_it_is_judged() -> None:
    assert policy_for(state(R), force=False) is Policy.NORMAL
    assert policy_for(state(R, deferred=True), force=False) is Policy.BACKGROUND
    assert policy_for(state(R, deferred=True), force=True) is Policy.MINIMAL


def test_the_same_transition_changes_nothing_the_second_time() -> None:
    id = uuid4()
    run = task_run_in(make_state(R, ago(seconds=1), details={"transition_id": str(id)}))
    assert answer(decide(run, state(R, transition_id=id))) == "no"


def test_who_has_taken_a_background_run_tells_how_far_it_is() -> None:
    taken = task_run_in(state(P, scheduled_time=ahead(hours=1)))
    outcome = decide(taken, state(P, "Submitting"), Policy.BACKGROUND)
    assert outcome.state is not None
    assert outcome.state.details == {"scheduled_time": ahead(hours=1)}


# 1


def test_a_known_result_completes_the_task_at_once() -> None:
    cached = state(C, data=RESULT, cache_key="k", task_run_id="x", transition_id="y")
    run = task_run_in(P, cached=cached, flow_run_state=None)
    outcome = decide(run, state(R, cache_key="k"))
    assert answer(outcome) == "Cached"
    assert outcome.state is not None
    assert (outcome.state.type, outcome.state.data) == (C, RESULT)
    assert outcome.state.details == {"cache_key": "k"}
    assert (outcome.changes["run_count"], outcome.changes["start_time"]) == (0, NOW)
    assert cache_key_to_remember(state(R, cache_key="k"), outcome, Policy.NORMAL) is None


def test_a_cached_result_is_asked_for_only_by_a_plain_start() -> None:
    assert wanted_cache_key(state(R, cache_key="k"), Policy.NORMAL) == "k"
    assert wanted_cache_key(state(R, cache_key="k"), Policy.BACKGROUND) == "k"
    assert wanted_cache_key(state(R, cache_key="k"), Policy.MINIMAL) is None
    assert wanted_cache_key(state(R, cache_key="k", refresh_cache=True), Policy.NORMAL) is None
    assert wanted_cache_key(state(P, cache_key="k"), Policy.NORMAL) is None
    assert wanted_cache_key(state(R), Policy.NORMAL) is None
    assert wanted_cache_key(state(R, cache_key="k" * 2001), Policy.NORMAL) is None


# 2


@pytest.mark.parametrize(
    ("proposed", "expected"),
    [
        (state(R), "no"),
        (state(S), "no"),
        (state(C), "no"),
        (state(C, data=RESULT), "no"),
        (state(F), "no"),
        (state(K), "abort"),
    ],
)
def test_a_persisted_result_stays(proposed: State, expected: str) -> None:
    assert answer(decide(task_run_in(state(C, data=RESULT)), proposed)) == expected


def test_a_task_that_is_run_again_counts_from_zero() -> None:
    assert decide(task_run_in(F, run_count=3), state(P)).changes["run_count"] == 0
    again = decide(task_run_in(F, run_count=3), state(R))
    assert (answer(again), again.changes["run_count"]) == ("yes", 1)


def test_a_task_is_retried_with_its_flow() -> None:
    run = task_run_in(F, flow_run_count=2)
    outcome = decide(run, state(R))
    assert (answer(outcome), outcome.changes["flow_run_run_count"]) == ("Retrying", 2)
    alone = task_run_in(F, flow_run_id=None, flow_run_state=None, flow_run_count=2)
    outcome = decide(alone, state(R), Policy.BACKGROUND)
    assert (answer(outcome), "flow_run_run_count" in outcome.changes) == ("yes", False)


# 3


@pytest.mark.parametrize("of_flow", [None, state(P), state(C), state(G)])
def test_a_task_starts_only_while_its_flow_runs(of_flow: State | None) -> None:
    run = task_run_in(P, flow_run_state=of_flow)
    assert answer(decide(run, state(R))) == "abort"
    assert answer(decide(run, state(R), Policy.BACKGROUND)) == "yes"
    assert answer(decide(run, state(S))) == "yes"
    assert answer(decide(task_run_in(P, flow_run_id=None, flow_run_state=None), state(R))) == "yes"


def test_a_task_of_a_paused_flow_is_paused() -> None:
    timeout = ahead(minutes=1).isoformat()
    paused = state(U, pause_timeout=timeout, pause_reschedule=True, pause_key="1")
    outcome = decide(task_run_in(P, flow_run_state=paused), state(R))
    assert answer(outcome) == "NotReady"
    assert outcome.state is not None
    assert outcome.state.details == {"pause_timeout": timeout, "pause_reschedule": True}


# 4, 11


def test_only_a_plain_start_needs_slots() -> None:
    start = decide(task_run_in(P), state(R))
    assert wants_tag_slots(start, Policy.NORMAL)
    assert not wants_tag_slots(start, Policy.BACKGROUND)
    assert not wants_tag_slots(start, Policy.MINIMAL)
    assert not wants_tag_slots(decide(task_run_in(P), state(C)), Policy.NORMAL)
    refused = decide(task_run_in(P, flow_run_state=None), state(R))
    assert not wants_tag_slots(refused, Policy.NORMAL)
    assert {t for t in StateType if keeps_tag_slots(state(t))} == {R, G}


# 5, 6


def test_a_task_run_that_is_taken_early_keeps_its_time() -> None:
    run = task_run_in(state(S, scheduled_time=ahead(hours=1), task_parameters_id="p"))
    for policy, kept in ((Policy.NORMAL, set()), (Policy.BACKGROUND, {"task_parameters_id"})):
        taken = decide(run, state(P), policy).state
        assert taken is not None
        assert taken.details.keys() == {"scheduled_time"} | kept
    own = decide(run, state(P, scheduled_time=ahead(hours=2))).state
    assert own is not None
    assert own.details == {"scheduled_time": ahead(hours=2)}


def test_parameters_are_known_until_the_task_runs() -> None:
    run = task_run_in(state(P, task_parameters_id="p"))
    started = decide(run, state(R, deferred=True), Policy.BACKGROUND).state
    assert started is not None
    assert started.details == {"deferred": True, "task_parameters_id": "p"}


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-5, "yes"), (0.4, "yes"), (1, "wait 1"), (90.4, "wait 90")]
)
def test_a_task_does_not_start_before_its_time(seconds: float, expected: str) -> None:
    run = task_run_in(state(S, scheduled_time=ahead(seconds=seconds)))
    assert answer(decide(run, state(R))) == expected


# 7


@pytest.mark.parametrize(
    ("delays", "jitter", "run_count", "seconds"),
    [
        ((), 1.0, 1, 0),
        ((10.0,), 0.0, 1, 10),
        ((10.0,), 0.5, 2, 12.5),
        ((1.0, 2.0, 4.0), 0.0, 2, 2),
        ((1.0, 2.0, 4.0), 0.0, 5, 4),
        ((-1.0,), -1.0, 1, 0),
        ((1e300,), 1.0, 1, 10 * 365 * 86400),
    ],
)
def test_a_failed_task_with_retries_left_waits_and_tries_again(
    delays: tuple[float, ...], jitter: float, run_count: int, seconds: float
) -> None:
    run = task_run_in(
        R,
        retries=9,
        retry_delays=delays,
        retry_jitter_factor=jitter,
        run_count=run_count,
        draw=0.5,
    )
    failed = make_state(F, NOW, message="boom", data="1", details={"transition_id": "t"})
    outcome = decide(run, failed)
    assert answer(outcome) == "AwaitingRetry"
    assert outcome.state is not None
    assert (outcome.state.message, outcome.state.data) == ("boom", "1")
    assert outcome.changes["next_scheduled_start_time"] == ahead(seconds=seconds)
    assert answer(decide(task_run_in(outcome.state), failed)) == "no"


def test_what_may_not_be_retried_has_failed() -> None:
    assert answer(decide(task_run_in(R, retries=3), state(F, retriable=False))) == "yes"
    assert answer(decide(task_run_in(R, retries=3), state(F, retriable=True))) == "AwaitingRetry"
    assert answer(decide(task_run_in(R, retries=1, run_count=2), state(F))) == "yes"
    assert answer(decide(task_run_in(R, retries=3), state(K))) == "yes"
    assert answer(decide(task_run_in(R, retries=3), state(X))) == "yes"


def test_a_retry_in_the_background_waits_for_a_task_worker_again() -> None:
    failed = state(F, deferred=True, task_parameters_id="p")
    again = decide(task_run_in(R, retries=1), failed, Policy.BACKGROUND).state
    assert again is not None
    assert again.details["task_parameters_id"] == "p"
    assert is_for_task_workers(again)
    assert not is_for_task_workers(state(S))
    assert not is_for_task_workers(state(P, deferred=True))


# 8


def test_a_retry_is_named_so() -> None:
    run = task_run_in(state(S, "AwaitingRetry"), run_count=1)
    assert answer(decide(run, state(R))) == "Retrying"
    assert decide(run, state(R)).changes["run_count"] == 2


# 10


def test_a_completed_state_is_remembered_by_its_cache_key() -> None:
    def remembered(proposed: State, policy: Policy = Policy.NORMAL) -> str | None:
        return cache_key_to_remember(proposed, decide(task_run_in(R), proposed, policy), policy)

    assert remembered(state(C, cache_key="k")) == "k"
    assert remembered(state(C)) is None
    assert remembered(state(F, cache_key="k")) is None
    assert remembered(state(C, cache_key="k"), Policy.MINIMAL) is None
    assert remembered(state(C, cache_key="k" * 2001)) is None


def test_a_result_with_too_long_a_cache_key_is_kept_all_the_same() -> None:
    proposed = state(C, cache_key="k" * 2001)
    outcome = decide(task_run_in(R), proposed)
    assert answer(outcome) == "Completed"
    assert outcome.decision.status is SetStateStatus.REJECT
    assert (outcome.state, outcome.changes["state_type"]) == (proposed, C)
