"""What the rules decide about slots of deployments, pools and queues: over every pair of states."""

from dataclasses import replace
from typing import Any

import pytest

from penstock.contract.enums import SetStateStatus
from penstock.core.bookkeeping import RunFacts
from penstock.core.concurrency_rules import DeploymentSlots
from penstock.core.flow_run_rules import LEASE, Outcome, decide_flow_run_state
from penstock.core.ids import new_id
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, make_state
from tests.core.runs import NOW, F, G, P, R, S, U, X, ago, ahead, run_in, state
from tests.core.test_concurrency_rules import a_limit

OUR_LEASE = new_id(NOW)


def slots(taken: int = 0, limit: int = 1, **more: Any) -> DeploymentSlots:
    return DeploymentSlots(a_limit(limit=limit, active_slots=taken), **more)


FREE, FULL = slots(0), slots(1)
HELD = slots(1, is_held=True)
CLOSED = slots(0, limit=0)


def decide(run: RunFacts, proposed: State, **how: Any) -> Outcome:
    return decide_flow_run_state(run, proposed, NOW, **how)


def run_with(type: StateType, slots: DeploymentSlots | None, **facts: Any) -> RunFacts:
    """A run whose state names a lease."""
    current = make_state(type, ago(seconds=10), details={LEASE: str(OUR_LEASE)})
    return run_in(current, deployment_slots=slots, **facts)


def answer(outcome: Outcome) -> str:
    status = outcome.decision.status
    if status is SetStateStatus.REJECT and outcome.state is not None:
        return outcome.state.name
    return status.value.lower()


PAIRS = [(a, b) for a in StateType for b in StateType]
#: runs of these are started by PENDING: they need a slot
STARTS = [S]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_limit_that_has_free_slots_changes_no_answer(
    source: StateType, target: StateType
) -> None:
    plain = decide(run_in(source), state(target))
    outcome = decide(run_in(source, deployment_slots=FREE), state(target))
    assert answer(outcome) == answer(plain)
    takes = target is P and source in STARTS
    assert (outcome.takes is not None) is takes
    if takes:
        assert outcome.state is not None
        assert outcome.state.details[LEASE] == outcome.takes
    assert (outcome.releases, outcome.frees) == (None, None)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_full_limit_changes_only_what_would_start(source: StateType, target: StateType) -> None:
    plain = decide(run_in(source), state(target))
    starts = target is P and source in STARTS
    expected = "AwaitingConcurrencySlot" if starts else answer(plain)
    outcome = decide(run_in(source, deployment_slots=FULL), state(target))
    assert (answer(outcome), outcome.takes) == (expected, None)
    cancelling = replace(FULL, cancels_new=True)
    expected = "Cancelled" if starts else answer(plain)
    assert answer(decide(run_in(source, deployment_slots=cancelling), state(target))) == expected
    expected = "abort" if starts else answer(plain)
    assert answer(decide(run_in(source, deployment_slots=CLOSED), state(target))) == expected
    expected = "abort" if starts else answer(plain)
    run = run_in(source, deployment_slots=FREE, full="work pool 'p'")
    outcome = decide(run, state(target))
    assert answer(outcome) == expected
    assert outcome.takes is None or expected != "abort"


@pytest.mark.parametrize("minimal", [False, True], ids=["proposed", "forced"])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_slot_is_kept_while_the_run_is_executed_and_given_back_otherwise(
    source: StateType, target: StateType, minimal: bool
) -> None:
    outcome = decide(run_with(source, HELD), state(target), minimal=minimal)
    given_back = outcome.releases, outcome.frees
    if outcome.state is None or source in TERMINAL_STATE_TYPES:
        assert given_back == (None, None)
        return
    written = outcome.state.type
    if written in (P, R, G):
        taken_anew = outcome.takes is not None
        assert given_back == ((OUR_LEASE if taken_anew else None), None)
        assert (str(outcome.state.details[LEASE]) == str(OUR_LEASE)) is not taken_anew
    elif written is U:
        assert given_back == (None, OUR_LEASE)
    else:
        assert given_back == (OUR_LEASE, None)
    assert (LEASE in outcome.state.details) is (written is not S)


def test_a_suspended_run_keeps_nothing() -> None:
    outcome = decide(run_with(R, HELD), state(U, "Suspended", pause_reschedule=True))
    assert (outcome.releases, outcome.frees) == (OUR_LEASE, None)
    assert outcome.state is not None
    assert LEASE not in outcome.state.details


def test_a_run_that_its_process_retries_keeps_its_slot_until_it_leaves() -> None:
    retry = decide(run_with(R, HELD, retries=1), state(F))
    assert (answer(retry), retry.releases) == ("AwaitingRetry", None)
    waits = run_in(retry.state, deployment_slots=HELD, retry_type="in_process", retries=1)
    assert decide(waits, state(R)).releases is None
    left = decide(waits, state(G))
    assert (answer(left), left.releases) == ("Cancelled", OUR_LEASE)
    # another process takes it: the slot goes over
    taken = decide(waits, state(P))
    assert answer(taken) == "accept"
    assert taken.releases == OUR_LEASE
    assert taken.takes is not None
    # its slot was lost meanwhile
    refused = decide(replace(waits, deployment_slots=FULL), state(P))
    assert answer(refused) == "AwaitingConcurrencySlot"
    assert refused.changes["retry_type"] == "reschedule"
    assert refused.releases == OUR_LEASE


def test_a_run_whose_slot_was_lost_starts_with_another_one_or_not_at_all() -> None:
    assert decide(run_with(P, HELD), state(R)).takes is None
    started = decide(run_with(P, FREE), state(R))
    assert answer(started) == "accept"
    assert started.takes is not None
    assert started.state is not None
    assert started.state.details[LEASE] == started.takes
    refused = decide(run_with(P, FULL), state(R))
    assert (answer(refused), refused.takes) == ("Cancelled", None)
    assert answer(decide(run_with(P, None), state(R))) == "accept"
    assert answer(decide(run_in(P, deployment_slots=FULL), state(R))) == "accept"


def test_a_run_that_comes_too_early_takes_no_slot() -> None:
    current = make_state(P, NOW, details={"scheduled_time": ahead(seconds=60), LEASE: OUR_LEASE})
    outcome = decide(run_in(current, deployment_slots=FREE), state(R))
    assert outcome.decision.status is SetStateStatus.WAIT
    assert outcome.takes is None


def test_a_run_that_waits_for_a_slot_is_due_again_in_half_a_minute() -> None:
    outcome = decide(run_in(S, deployment_slots=FULL), state(P, transition_id="a"))
    assert outcome.state is not None
    assert outcome.state.details == {"transition_id": "a", "scheduled_time": ahead(seconds=30)}
    assert outcome.changes["next_scheduled_start_time"] == ahead(seconds=30)


def test_a_run_of_a_deleted_deployment_is_not_started() -> None:
    assert answer(decide(run_in(S, deployment_is_gone=True), state(P))) == "abort"
    assert answer(decide(run_in(P, deployment_is_gone=True), state(R))) == "accept"


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        (None, "accept"),
        (FREE, "accept"),
        (FULL, "accept"),
        (replace(FREE, cancels_new=True), "accept"),
        (replace(FULL, cancels_new=True), "Cancelled"),
    ],
)
def test_a_late_run_is_cancelled_where_new_ones_are(
    slots: DeploymentSlots | None, expected: str
) -> None:
    late = state(S, "Late", scheduled_time=ago(seconds=20))
    assert answer(decide(run_in(S, deployment_slots=slots), late)) == expected
    assert answer(decide(run_in(S, deployment_slots=slots), state(S))) == "accept"


def test_force_asks_for_no_slot() -> None:
    outcome = decide(run_in(S, deployment_slots=FULL, full="work pool 'p'"), state(P), minimal=True)
    assert (answer(outcome), outcome.takes) == ("accept", None)


def test_the_lease_that_a_run_had_is_not_taken_up_again() -> None:
    outcome = decide(run_with(X, FREE), state(R))
    assert answer(outcome) == "accept"
    assert outcome.state is not None
    assert LEASE not in outcome.state.details
