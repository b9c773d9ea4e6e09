"""The rules a proposed state of a task run must pass, in the order of the contract.

They hold for what is proposed by REST: parents of subflow runs, tasks in the background, old
clients. Facts in, decision out: nothing here reads a clock, a database or a random number.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.core.bookkeeping import RunFacts, book_state
from penstock.core.decisions import ACCEPT, Decision, abort, amend, reject, wait
from penstock.core.flow_run_rules import Outcome
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

#: a failed task run that will be tried again
AWAITING_RETRY = "AwaitingRetry"
#: characters of a cache key
MAX_CACHE_KEY = 2000


@dataclass(frozen=True, slots=True)
class TaskRunFacts(RunFacts):
    """What the rules know of a task run. It is booked as a flow run is."""

    #: seconds before the first, second, ... retry; the last one goes on
    retry_delays: Sequence[float] = ()
    #: how much longer than that a retry may wait, as a share of it
    retry_jitter_factor: float = 0.0
    #: uniform in 0..1: where between the two this retry is
    draw: float = 0.0
    #: None: it runs outside of any flow run
    flow_run_id: UUID | None = None
    #: the flow run's state; None when it has none or is gone
    flow_run_state: State | None = None
    #: entries of RUNNING of the flow run
    flow_run_count: int = 0
    #: the same when this task run last started
    flow_run_run_count: int = 0
    #: the newest completed state of the proposal's cache key that has not expired
    cached: State | None = None


class Policy(Enum):
    """Which rules a proposal is held against."""

    NORMAL = "normal"
    #: the task runs outside of a flow run, in a task worker
    BACKGROUND = "background"
    #: `force`, the first state of a task run, and what its child flow run says
    MINIMAL = "minimal"


#: None: the rule has nothing to say
_Answer = Decision | None
#: (task run, current state, proposed state, now)
Rule = Callable[[TaskRunFacts, State | None, State, datetime], _Answer]


# The rules, numbered as in the contract. 4 (slots of tags) is decided last, as the slots are the
# rows everybody writes; 10, 11 and the delivery of background tasks follow from what is written.


def same_transition_once(
    _: TaskRunFacts, current: State | None, proposed: State, __: datetime
) -> _Answer:
    """A proposal sent twice changes nothing the second time."""
    if same_transition(current, proposed):
        return reject("This transition has already been made")
    return None


def one_taker(_: TaskRunFacts, current: State | None, proposed: State, __: datetime) -> _Answer:
    """A task run is taken once; who has taken it may tell how far its infrastructure is."""
    assert current is not None  # the rule is asked of four types
    progress = current.type is PENDING and proposed.name not in (current.name, "Pending")
    if not progress:
        return abort(f"The task run cannot be taken: it is {current.name}")
    return _with_details_of(current, proposed, "scheduled_time")


def what_is_cached_is_not_run(
    run: TaskRunFacts, _: State | None, __: State, now: datetime
) -> _Answer:
    """1. A task whose result is known under its cache key completes at once."""
    if run.cached is None:
        return None
    details = {k: v for k, v in run.cached.details.items() if k not in _OF_ONE_RUN}
    again = make_state(
        COMPLETED,
        now,
        name="Cached",
        message=run.cached.message,
        data=run.cached.data,
        details=details,
    )
    return reject("The result was found in the cache", again)


#: what a state's details say of the run it was made for
_OF_ONE_RUN = ("flow_run_id", "task_run_id", "child_flow_run_id", "transition_id")


def terminal_states_stay(
    run: TaskRunFacts, current: State | None, proposed: State, _: datetime
) -> _Answer:
    """2. What has ended does not pause, crash or cancel; run again, it counts from zero."""
    assert current is not None  # of a terminal type
    if proposed.type in (CANCELLING, PAUSED, CRASHED):
        return abort("The task run has already ended")
    if current.type is COMPLETED and holds_result(current):
        return reject("The task run has completed with a persisted result")
    if proposed.type in TERMINAL_STATE_TYPES:
        return None
    again = proposed.type is RUNNING and run.flow_run_count > run.flow_run_run_count
    state = replace(proposed, name="Retrying") if again and run.flow_run_id else None
    return amend(state, before={"run_count": 0})


def tasks_run_while_their_flow_runs(
    run: TaskRunFacts, _: State | None, __: State, now: datetime
) -> _Answer:
    """3. A task starts only while its flow run is running; with a paused one it is paused."""
    if run.flow_run_id is None:
        return None
    of_flow = run.flow_run_state
    if of_flow is not None and of_flow.type is RUNNING:
        return None
    if of_flow is None or of_flow.type is not PAUSED:
        return abort("The flow run of the task is not running")
    kept = ("pause_timeout", "pause_reschedule")
    details = {k: of_flow.details[k] for k in kept if of_flow.details.get(k)}
    paused = make_state(PAUSED, now, name="NotReady", details=details)
    return reject("The flow run is paused; the task can start once it was resumed", paused)


def keep_the_schedule(
    _: TaskRunFacts, current: State | None, proposed: State, __: datetime
) -> _Answer:
    """5. A task run that is taken early still starts at its time."""
    return _with_details_of(current, proposed, "scheduled_time")


def keep_the_parameters(
    _: TaskRunFacts, current: State | None, proposed: State, __: datetime
) -> _Answer:
    """A task in the background keeps knowing where its parameters are."""
    return _with_details_of(current, proposed, "task_parameters_id")


def not_too_early(_: TaskRunFacts, current: State | None, __: State, now: datetime) -> _Answer:
    """6. A task starts at its scheduled time, give or take half a second."""
    scheduled_time = None if current is None else moment(current, "scheduled_time")
    if scheduled_time is None:
        return None
    seconds = round((scheduled_time - now).total_seconds())
    return wait(seconds, "The scheduled time is still to come") if seconds >= 1 else None


def retry_while_attempts_remain(
    run: TaskRunFacts, _: State | None, proposed: State, now: datetime
) -> _Answer:
    """7. A failed task with retries left waits and tries again."""
    if run.retries is None or run.run_count > run.retries:
        return None
    if proposed.details.get("retriable") is False:
        return None
    kept = ("deferred", "task_parameters_id", "transition_id")
    details = {k: proposed.details[k] for k in kept if proposed.details.get(k)}
    awaiting_retry = make_state(
        SCHEDULED,
        now,
        name=AWAITING_RETRY,
        message=proposed.message,
        data=proposed.data,
        details=details | {"scheduled_time": now + _retry_delay(run)},
    )
    return reject("Retrying", awaiting_retry)


def _retry_delay(run: TaskRunFacts) -> timedelta:
    if not run.retry_delays:
        return timedelta(0)
    delay = run.retry_delays[min(max(run.run_count - 1, 0), len(run.retry_delays) - 1)]
    seconds = max(0.0, delay) * (1 + max(0.0, run.retry_jitter_factor) * run.draw)
    return timedelta(seconds=min(seconds, _LONGEST_DELAY))


#: seconds; a longer one would leave the calendar
_LONGEST_DELAY = 10 * 365.0 * 86_400


def reruns_are_named(
    run: TaskRunFacts, current: State | None, proposed: State, _: datetime
) -> _Answer:
    """8. A task that runs once more says so in its state's name."""
    if not run.run_count:
        return None
    retried = current is not None and current.name == AWAITING_RETRY
    return amend(replace(proposed, name="Retrying" if retried else "Rerunning"))


def note_the_flow_runs_count(
    run: TaskRunFacts, _: State | None, __: State, ___: datetime
) -> _Answer:
    """9. A task run notes in which run of its flow it has started."""
    if run.flow_run_id is None:
        return None
    return amend(after={"flow_run_run_count": run.flow_run_count})


def cache_keys_are_bounded(
    _: TaskRunFacts, __: State | None, proposed: State, ___: datetime
) -> _Answer:
    """10. A result whose cache key is too long is kept, but not found again."""
    if len(proposed.details.get("cache_key") or "") <= MAX_CACHE_KEY:
        return None
    return reject(f"The cache key is longer than {MAX_CACHE_KEY} characters", proposed)


def _with_details_of(current: State | None, proposed: State, key: str) -> _Answer:
    known = None if current is None else current.details.get(key)
    if known is None or proposed.details.get(key) is not None:
        return None
    return amend(replace(proposed, details={**proposed.details, key: known}))


# The tables: (from, to, rule). A rule is asked when both sets hold the types; `_ANY` also holds
# for a task run without a state.
_ANY = frozenset(StateType)
_Table = list[tuple[Collection[StateType], Collection[StateType], Rule]]

TASK_RUN_RULES: _Table = [
    (_ANY, _ANY, same_transition_once),
    (_ANY, {RUNNING}, what_is_cached_is_not_run),
    (TERMINAL_STATE_TYPES, _ANY, terminal_states_stay),
    (_ANY, {RUNNING}, tasks_run_while_their_flow_runs),
    ({SCHEDULED}, {PENDING}, keep_the_schedule),
    ({SCHEDULED, PENDING}, {RUNNING}, not_too_early),
    ({RUNNING}, {FAILED}, retry_while_attempts_remain),
    (_ANY, {RUNNING}, reruns_are_named),
    (_ANY, {RUNNING}, note_the_flow_runs_count),
    (_ANY, {COMPLETED}, cache_keys_are_bounded),
]

BACKGROUND_RULES: _Table = [
    (_ANY, _ANY, same_transition_once),
    ({PENDING, CANCELLING, RUNNING, CANCELLED}, {PENDING}, one_taker),
    (_ANY, {RUNNING}, what_is_cached_is_not_run),
    (TERMINAL_STATE_TYPES, _ANY, terminal_states_stay),
    ({SCHEDULED}, {PENDING}, keep_the_schedule),
    ({SCHEDULED}, {PENDING}, keep_the_parameters),
    ({PENDING}, {RUNNING}, keep_the_parameters),
    ({SCHEDULED, PENDING}, {RUNNING}, not_too_early),
    ({RUNNING}, {FAILED}, retry_while_attempts_remain),
    (_ANY, {RUNNING}, reruns_are_named),
    (_ANY, {RUNNING}, note_the_flow_runs_count),
    (_ANY, {COMPLETED}, cache_keys_are_bounded),
]


def _by_transition(
    rules: _Table,
) -> dict[tuple[StateType | None, StateType], tuple[Rule, ...]]:
    return {
        (a, b): tuple(
            rule
            for sources, targets, rule in rules
            if (sources is _ANY if a is None else a in sources) and b in targets
        )
        for a in (None, *StateType)
        for b in StateType
    }


_RULES = {
    Policy.NORMAL: _by_transition(TASK_RUN_RULES),
    Policy.BACKGROUND: _by_transition(BACKGROUND_RULES),
    Policy.MINIMAL: _by_transition([]),
}


def policy_for(proposed: State, *, force: bool) -> Policy:
    """The rules that a proposal is held against."""
    if force:
        return Policy.MINIMAL
    return Policy.BACKGROUND if proposed.details.get("deferred") else Policy.NORMAL


def wanted_cache_key(proposed: State, policy: Policy) -> str | None:
    """The key under which a completed state would make the proposed run needless; None: none."""
    if policy is Policy.MINIMAL or proposed.type is not RUNNING:
        return None
    if proposed.details.get("refresh_cache"):
        return None
    key = proposed.details.get("cache_key")
    return key if key and len(key) <= MAX_CACHE_KEY else None


def cache_key_to_remember(proposed: State, outcome: Outcome, policy: Policy) -> str | None:
    """The key under which the written state is to be found again; None: it is not."""
    if policy is Policy.MINIMAL or outcome.decision.status is not SetStateStatus.ACCEPT:
        return None
    return proposed.details.get("cache_key") if proposed.type is COMPLETED else None


def wants_tag_slots(outcome: Outcome, policy: Policy) -> bool:
    """4. Whether the state may be written only with slots of the task run's tags."""
    written = outcome.state
    return policy is Policy.NORMAL and written is not None and written.type is RUNNING


def keeps_tag_slots(state: State) -> bool:
    """11. Whether a task run in this state keeps the slots of its tags."""
    return state.type in (RUNNING, CANCELLING)


def is_for_task_workers(state: State) -> bool:
    """Whether a task run that has got this state waits for a task worker."""
    return state.type is SCHEDULED and bool(state.details.get("deferred"))


def decide_task_run_state(
    run: TaskRunFacts, proposed: State, now: datetime, policy: Policy = Policy.NORMAL
) -> Outcome:
    """What becomes of a proposed state, slots of tags left out."""
    current = run.state
    rules = _RULES[policy][None if current is None else current.type, proposed.type]
    decision, state, after = ACCEPT, proposed, dict[str, Any]()
    for rule in rules:
        answer = rule(run, current, state, now)
        if answer is None:
            continue
        if answer.status is not SetStateStatus.ACCEPT:
            decision = answer
            if answer.state is None:
                return Outcome(decision, None, {})
        if answer.before:
            run = replace(run, **answer.before)
        after.update(answer.after)
        state = answer.state or state
        if state.type is not proposed.type:
            break
    state, changes = book_state(run, state)
    del changes["resuming"]
    return Outcome(decision, state, changes | after)
