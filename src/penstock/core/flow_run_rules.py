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


# The rules, numbered as in the contract; 16 (the event) is the operation's business


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
    """6. A run is taken once; who has taken it may tell how far its infrastructure is."""
    progress = current.type is PENDING and proposed.name not in (current.name, "Pending")
    if not progress:
        return abort(f"The run cannot be taken: it is {current.name}")
    carried = ("scheduled_time", "deployment_concurrency_lease_id")
    return _with_details_of(current, proposed, carried)


def only_scheduled_runs_get_late(
    _: RunFacts, current: State, proposed: State, __: datetime
) -> _Answer:
    """10. Late is a name for a run that waits for its start, given once."""
    if proposed.name != LATE or (current.type is SCHEDULED and current.name != LATE):
        return None
    return reject("Only a scheduled run gets late, and only once")


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
    kept = ("transition_id", "deployment_concurrency_lease_id")
    return {k: proposed.details[k] for k in kept if proposed.details.get(k) is not None}


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
    # 1 keep the concurrency lease's id: comes with the deployments' slots
    (_ANY, _ANY, same_transition_once),
    (TERMINAL_STATE_TYPES, _ANY, terminal_states_stay),
    ({COMPLETED}, {COMPLETED}, results_are_kept),
    ({CANCELLING}, _ANY - {CANCELLED}, cancelling_is_one_way),
    ({SCHEDULED, PAUSED}, {CANCELLING}, cancel_at_once_what_no_process_executes),
    ({PENDING, CANCELLING, RUNNING, CANCELLED}, {PENDING}, one_taker),
    # 7 validate the lease, 8 take a slot of the deployment, 9 leases of old clients: with them
    (_ANY, {SCHEDULED}, only_scheduled_runs_get_late),
    ({PENDING, RUNNING, PAUSED}, {SCHEDULED}, what_leaves_its_process_is_for_anybody),
    (_ANY, {PAUSED}, only_running_runs_pause),
    ({PAUSED}, _ANY, leaving_a_pause),
    ({SCHEDULED}, {PENDING}, keep_the_schedule),
    ({SCHEDULED, PENDING}, {RUNNING}, not_too_early),
    ({RUNNING}, {FAILED}, retry_while_attempts_remain),
    # 17 release the slot: with them
]

#: for `force` and the first state of a run
MINIMAL_RULES: list[tuple[Collection[StateType], Collection[StateType], Rule]] = [
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
        state = answer.state or state
        if state.type is not proposed.type:
            break
    if before:
        run = replace(run, **before)
    return _written(run, state, now, decision, attempt, after)


def _written(
    run: RunFacts,
    state: State,
    now: datetime,
    decision: Decision,
    attempt: UUID | None,
    after: dict[str, Any] | None = None,
) -> Outcome:
    state, changes = book_state(run, state)
    changes["retry_type"] = run.retry_type
    changes["pause_keys"] = list(run.pause_keys)
    changes.update(book_attempt(run, state, run.retry_type, attempt, now))
    if after:
        changes.update(after)
    return Outcome(decision, state, changes)
