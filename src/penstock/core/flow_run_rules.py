"""The rules a proposed state of a flow run must pass, in the order of the contract.

Facts in, decision out: nothing here reads a clock or a database.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.core.attempts import book_attempt, only_the_current_attempt_writes
from penstock.core.bookkeeping import RunFacts, book_state
from penstock.core.decisions import ACCEPT, Decision, abort, amend, reject, wait
from penstock.core.ids import new_id
from penstock.core.states import (
    TERMINAL_STATE_TYPES,
    State,
    StateType,
    holds_result,
    make_state,
    moment,
    same_transition,
)

SCHEDULED, PENDING, RUNNING = StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING
COMPLETED, FAILED, CRASHED = StateType.COMPLETED, StateType.FAILED, StateType.CRASHED
CANCELLED, CANCELLING = StateType.CANCELLED, StateType.CANCELLING
PAUSED = StateType.PAUSED

#: the name of a scheduled run that nobody has taken in time
LATE = "Late"
#: the name of a scheduled run that found no slot of its deployment, and how long it waits
AWAITING_SLOT = "AwaitingConcurrencySlot"
SLOT_WAIT = timedelta(seconds=30)
#: the detail of a state that names the lease of the run's slot
LEASE = "deployment_concurrency_lease_id"
#: in these a run is executed, so it holds a slot where its deployment has a limit
EXECUTED = frozenset({PENDING, RUNNING, CANCELLING})

#: None: the rule has nothing to say
_Answer = Decision | None
#: (run, current state, proposed state, now)
Rule = Callable[[RunFacts, State, State, datetime], _Answer]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is answered to a proposal, and what is written."""

    decision: Decision
    #: the state to write; None: nothing is written and the current state is the answer
    state: State | None
    #: columns of the run to write with it, always the same ones; empty when nothing is written
    changes: dict[str, Any]
    #: the lease by which a slot of the deployment is taken
    takes: UUID | None = None
    #: the lease that ends, so that its slot is free
    releases: UUID | None = None
    #: the lease whose slot is free from now on, while its holder may go on to renew it
    frees: UUID | None = None


# The rules, numbered as in the contract. 9 is for clients that the server need not tell from
# others, 16 (the event) is the operation's business, 17 (the slot is given back) is part of booking


def the_lease_goes_with_the_run(
    _: RunFacts, current: State, proposed: State, __: datetime
) -> _Answer:
    """1. A run keeps the lease of its slot; clients propose states without it."""
    return _with_details_of(current, proposed, (LEASE,)) if lease_of(current) else None


def same_transition_once(_: RunFacts, current: State, proposed: State, __: datetime) -> _Answer:
    """2. A proposal sent twice changes nothing the second time."""
    if same_transition(current, proposed):
        return reject("This transition has already been made")
    return None


def terminal_states_stay(run: RunFacts, current: State, proposed: State, _: datetime) -> _Answer:
    """3. What has ended does not pause, crash or cancel; it may be run again, results kept."""
    if proposed.type in (CANCELLING, PAUSED, CRASHED):
        return abort("The run has already ended")
    if proposed.type in TERMINAL_STATE_TYPES:
        return None
    if _result_would_be_lost(current, proposed):
        return reject("The run has completed with a persisted result")
    if proposed.type is SCHEDULED and run.deployment_id is None:
        return abort("A run without a deployment cannot be scheduled again")
    again = "reschedule" if proposed.type is SCHEDULED else None
    return amend(before={"resuming": False, "pause_keys": [], "retry_type": again})


def results_are_kept(_: RunFacts, current: State, proposed: State, __: datetime) -> _Answer:
    """3, its last part. A persisted result is not replaced by none."""
    if _result_would_be_lost(current, proposed):
        return reject("The run has completed with a persisted result")
    return None


def cancelling_is_one_way(_: RunFacts, __: State, ___: State, ____: datetime) -> _Answer:
    """4. A run that is being cancelled ends cancelled."""
    return reject("The run is being cancelled")


def cancel_at_once_what_no_process_executes(
    run: RunFacts, current: State, proposed: State, now: datetime
) -> _Answer:
    """5. Without a process there is nothing to wait for."""
    waiting = current.type is SCHEDULED and (
        run.infrastructure_pid is None or current.name == "Resuming"
    )
    suspended = current.type is PAUSED and bool(current.details.get("pause_reschedule"))
    if not (waiting or suspended):
        return None
    cancelled = make_state(CANCELLED, now, message=proposed.message, details=_kept(proposed))
    return reject("The run has no process to cancel", cancelled)


def one_taker(_: RunFacts, current: State, proposed: State, __: datetime) -> _Answer:
    """6. A run is taken once; who has taken it may tell how far its infrastructure is.

    One that has ended is not taken either: a worker that proposes it has an old list of runs.
    """
    progress = current.type is PENDING and proposed.name not in (current.name, "Pending")
    if not progress:
        return abort(f"The run cannot be taken: it is {current.name}")
    return _with_details_of(current, proposed, ("scheduled_time", LEASE))


def a_slot_that_was_lost_is_taken_again(
    run: RunFacts, current: State, proposed: State, now: datetime
) -> _Answer:
    """7. A run that was taken too long ago has lost its slot: it starts if another one is free."""
    slots = run.deployment_slots
    if lease_of(current) is None or slots is None or slots.is_held:
        return None
    if slots.are_free(now):
        return _takes_slot(proposed, now)
    message = "The run has lost its slot of the deployment, and no other one is free"
    return reject(
        message, make_state(CANCELLED, now, message=message, details=_without_lease(proposed))
    )


def pool_and_queue_have_room(run: RunFacts, _: State, __: State, ___: datetime) -> _Answer:
    """A pool or queue that executes as many runs as it may takes no more; a poll only advises."""
    return abort(f"The {run.full} executes as many runs as it may") if run.full else None


def a_slot_of_the_deployment_is_taken(
    run: RunFacts, _: State, proposed: State, now: datetime
) -> _Answer:
    """8. A deployment executes so many runs at once; others wait for a slot or are cancelled."""
    slots = run.deployment_slots
    if run.deployment_is_gone:
        return abort("The deployment of the run is gone")
    if slots is None:
        return None
    if slots.limit.limit <= 0:
        return abort("The concurrency limit of the deployment is 0: no run would ever start")
    if slots.are_free(now):
        return _takes_slot(proposed, now)
    message = "The concurrency limit of the deployment has been reached"
    details = _without_lease(proposed)
    if slots.cancels_new:
        return reject(message, make_state(CANCELLED, now, message=message, details=details))
    waiting = make_state(
        SCHEDULED,
        now,
        name=AWAITING_SLOT,
        message=message,
        details=details | {"scheduled_time": now + SLOT_WAIT},
    )
    # Whoever comes first takes it then; no poll would find what only its process tries again.
    retry_type = "reschedule" if run.retry_type == "in_process" else run.retry_type
    return reject(message, waiting, retry_type=retry_type)


def only_scheduled_runs_get_late(
    _: RunFacts, current: State, proposed: State, __: datetime
) -> _Answer:
    """10. Late is a name for a run that waits for its start, given once."""
    if proposed.name != LATE or (current.type is SCHEDULED and current.name != LATE):
        return None
    return reject("Only a scheduled run gets late, and only once")


def late_runs_are_cancelled_where_new_ones_are(
    run: RunFacts, _: State, proposed: State, now: datetime
) -> _Answer:
    """A run that is late while the deployment has no slot is cancelled where new ones are."""
    slots = run.deployment_slots
    if proposed.name != LATE or slots is None or not slots.cancels_new or slots.are_free(now):
        return None
    message = "The concurrency limit of the deployment has been reached"
    return reject(message, make_state(CANCELLED, now, message=message, details=_kept(proposed)))


def what_leaves_its_process_is_for_anybody(
    run: RunFacts, _: State, __: State, ___: datetime
) -> _Answer:
    """A run that was retried in its process and leaves it may be taken by any worker."""
    # The contract leaves `retry_type` as it is; no poll would ever find such a run again.
    return amend(before={"retry_type": "reschedule"}) if run.retry_type == "in_process" else None


def only_running_runs_pause(
    run: RunFacts, current: State, proposed: State, now: datetime
) -> _Answer:
    """11. Each pause is taken once; a run that leaves its process needs a way back."""
    if current.type is not RUNNING:
        return reject(f"Only a running run can pause; this one is {current.name}")
    key = proposed.details.get("pause_key")
    if key is not None and key in run.pause_keys:
        return reject("This pause has already been taken")
    if proposed.details.get("pause_reschedule"):
        if run.parent_task_run_id is not None:
            return abort("A subflow run cannot be suspended")
        if run.deployment_id is None:
            return abort("A run without a deployment cannot be suspended")
    keys = [*run.pause_keys, str(new_id(now)) if key is None else key]
    return amend(after={"pause_keys": keys})


def leaving_a_pause(run: RunFacts, current: State, proposed: State, now: datetime) -> _Answer:
    """12. A paused run goes on, in time, or ends."""
    if proposed.type in (PENDING, PAUSED):
        return reject("A paused run cannot be taken or paused again")
    if run.deployment_id is None and current.details.get("pause_reschedule"):
        return reject("A suspended run without a deployment cannot go on")
    timeout = moment(current, "pause_timeout")
    if proposed.type is CANCELLING or timeout is None or timeout >= now:
        return amend(after={"resuming": True})
    message = "The run was paused for too long"
    failed = make_state(FAILED, now, message=message, details=_kept(proposed))
    return replace(reject(message, failed), after={"resuming": True})


def keep_the_schedule(_: RunFacts, current: State, proposed: State, __: datetime) -> _Answer:
    """13. A run that is taken early still starts at its time."""
    return _with_details_of(current, proposed, ("scheduled_time",))


def not_too_early(_: RunFacts, current: State, __: State, now: datetime) -> _Answer:
    """14. A run starts at its scheduled time, give or take half a second."""
    scheduled_time = moment(current, "scheduled_time")
    if scheduled_time is None:
        return None
    seconds = round((scheduled_time - now).total_seconds())
    return wait(seconds, "The scheduled time is still to come") if seconds >= 1 else None


def retry_while_attempts_remain(run: RunFacts, _: State, proposed: State, now: datetime) -> _Answer:
    """15. A failed run with retries left waits and tries again, in the same process."""
    if run.retries is None or run.run_count > run.retries:
        return amend(before={"retry_type": None})
    awaiting_retry = make_state(
        SCHEDULED,
        now,
        name="AwaitingRetry",
        message=proposed.message,
        data=proposed.data,
        details=_kept(proposed) | {"scheduled_time": now + timedelta(seconds=run.retry_delay or 0)},
    )
    return reject(
        "Retrying", awaiting_retry, resuming=False, pause_keys=[], retry_type="in_process"
    )


def _result_would_be_lost(current: State, proposed: State) -> bool:
    if current.type is not COMPLETED or not holds_result(current):
        return False
    return proposed.type is not COMPLETED or not holds_result(proposed)


def _kept(proposed: State) -> dict[str, Any]:
    """Details for a state that stands in for the proposed one.

    The transition is among them: who repeats the proposal shall find what became of it.
    """
    kept = ("transition_id", LEASE)
    return {k: proposed.details[k] for k in kept if proposed.details.get(k) is not None}


def _without_lease(proposed: State) -> dict[str, Any]:
    return {k: v for k, v in _kept(proposed).items() if k != LEASE}


def _takes_slot(proposed: State, now: datetime) -> Decision:
    lease = new_id(now)
    return amend(replace(proposed, details={**proposed.details, LEASE: lease}), takes=lease)


def lease_of(state: State | None) -> UUID | None:
    """The lease by which a run in this state may hold a slot of its deployment.

    Of a run that has ended it only tells which one it was.
    """
    if state is None or state.type in TERMINAL_STATE_TYPES:
        return None
    value = state.details.get(LEASE)
    return value if value is None or isinstance(value, UUID) else UUID(value)


def _with_details_of(current: State, proposed: State, keys: tuple[str, ...]) -> _Answer:
    carried = {
        k: current.details[k]
        for k in keys
        if proposed.details.get(k) is None and current.details.get(k) is not None
    }
    if not carried:
        return None
    return amend(replace(proposed, details={**proposed.details, **carried}))


# The tables: (from, to, rule). A rule is asked when both sets hold the types.
_ANY = frozenset(StateType)

FLOW_RUN_RULES: list[tuple[Collection[StateType], Collection[StateType], Rule]] = [
    (_ANY - TERMINAL_STATE_TYPES, _ANY, the_lease_goes_with_the_run),
    (_ANY, _ANY, same_transition_once),
    (TERMINAL_STATE_TYPES, _ANY, terminal_states_stay),
    ({COMPLETED}, {COMPLETED}, results_are_kept),
    ({CANCELLING}, _ANY - {CANCELLED}, cancelling_is_one_way),
    ({SCHEDULED, PAUSED}, {CANCELLING}, cancel_at_once_what_no_process_executes),
    (EXECUTED | TERMINAL_STATE_TYPES, {PENDING}, one_taker),
    ({PENDING}, {RUNNING}, a_slot_that_was_lost_is_taken_again),
    # only a scheduled run can be taken; the others shall not wait for a slot either
    ({SCHEDULED}, {PENDING}, pool_and_queue_have_room),
    ({SCHEDULED}, {PENDING}, a_slot_of_the_deployment_is_taken),
    (_ANY, {SCHEDULED}, only_scheduled_runs_get_late),
    ({SCHEDULED}, {SCHEDULED}, late_runs_are_cancelled_where_new_ones_are),
    ({PENDING, RUNNING, PAUSED}, {SCHEDULED}, what_leaves_its_process_is_for_anybody),
    (_ANY, {PAUSED}, only_running_runs_pause),
    ({PAUSED}, _ANY, leaving_a_pause),
    ({SCHEDULED}, {PENDING}, keep_the_schedule),
    ({SCHEDULED, PENDING}, {RUNNING}, not_too_early),
    ({RUNNING}, {FAILED}, retry_while_attempts_remain),
]

#: for `force` and the first state of a run
MINIMAL_RULES: list[tuple[Collection[StateType], Collection[StateType], Rule]] = [
    (_ANY - TERMINAL_STATE_TYPES, _ANY, the_lease_goes_with_the_run),
    ({COMPLETED}, {COMPLETED}, results_are_kept),
    ({SCHEDULED, PAUSED}, {CANCELLING}, cancel_at_once_what_no_process_executes),
    (_ANY - {SCHEDULED}, {SCHEDULED}, what_leaves_its_process_is_for_anybody),
]


def _by_transition(
    rules: list[tuple[Collection[StateType], Collection[StateType], Rule]],
) -> dict[tuple[StateType, StateType], tuple[Rule, ...]]:
    return {
        (a, b): tuple(rule for sources, targets, rule in rules if a in sources and b in targets)
        for a in StateType
        for b in StateType
    }


_NORMAL = _by_transition(FLOW_RUN_RULES)
_MINIMAL = _by_transition(MINIMAL_RULES)


def decide_flow_run_state(
    run: RunFacts,
    proposed: State,
    now: datetime,
    *,
    attempt: UUID | None = None,
    minimal: bool = False,
) -> Outcome:
    """What becomes of a proposed state.

    `attempt` is the sender's, if it named one. `minimal` is for `force` and a run's first state.
    """
    refused = only_the_current_attempt_writes(run, proposed, attempt)
    if refused is None and run.state is None and not minimal:
        refused = _needs_a_state(proposed)
    if refused is not None:
        return Outcome(refused, None, {})
    if run.state is None:
        return _written(run, proposed, now, ACCEPT, attempt)
    rules = (_MINIMAL if minimal else _NORMAL)[run.state.type, proposed.type]
    return _judged(rules, run, run.state, proposed, now, attempt)


def _needs_a_state(proposed: State) -> _Answer:
    if proposed.type is PAUSED:
        return abort("A run that was never started cannot pause")
    if proposed.type is SCHEDULED and proposed.name == LATE:
        return reject("Only a scheduled run gets late")
    return None


def _judged(
    rules: tuple[Rule, ...],
    run: RunFacts,
    current: State,
    proposed: State,
    now: datetime,
    attempt: UUID | None,
) -> Outcome:
    """Ask the rules in order. A replacement of another type is not what later rules are for."""
    decision = ACCEPT
    state, before, after = proposed, dict[str, Any](), dict[str, Any]()
    takes: UUID | None = None
    for rule in rules:
        answer = rule(run, current, state, now)
        if answer is None:
            continue
        if answer.status is not SetStateStatus.ACCEPT:
            decision = answer
            if answer.state is None:
                return Outcome(decision, None, {})
        before.update(answer.before)
        after.update(answer.after)
        state, takes = answer.state or state, answer.takes or takes
        if state.type is not proposed.type:
            takes = None
            break
    if before:
        run = replace(run, **before)
    return _written(run, state, now, decision, attempt, after, takes)


def _written(
    run: RunFacts,
    state: State,
    now: datetime,
    decision: Decision,
    attempt: UUID | None,
    after: dict[str, Any] | None = None,
    takes: UUID | None = None,
) -> Outcome:
    state, changes = book_state(run, state)
    changes["retry_type"] = run.retry_type
    changes["pause_keys"] = list(run.pause_keys)
    changes.update(book_attempt(run, state, run.retry_type, attempt, now))
    if after:
        changes.update(after)
    lease = lease_of(run.state)
    if lease is None:
        return Outcome(decision, state, changes, takes)
    if takes is None and _keeps_slot(run, state):
        return Outcome(decision, state, changes)
    if state.type is PAUSED and not state.details.get("pause_reschedule"):
        return Outcome(decision, state, changes, frees=lease)
    if takes is None and state.type not in TERMINAL_STATE_TYPES:
        details = {k: v for k, v in state.details.items() if k != LEASE}
        state = replace(state, details=details)
    return Outcome(decision, state, changes, takes, releases=lease)


def _keeps_slot(run: RunFacts, state: State) -> bool:
    """17. Whether a run keeps its slot: while it is executed, and while its process retries it."""
    retried = state.type is SCHEDULED and run.retry_type == "in_process"
    return state.type in EXECUTED or retried
