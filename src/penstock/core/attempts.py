"""Attempts: who executes a run, and until when the server believes it alive."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.bookkeeping import RunFacts
from penstock.core.decisions import Decision, abort
from penstock.core.states import (
    TERMINAL_STATE_TYPES,
    State,
    StateType,
    make_state,
    same_transition,
)

#: an attempt that was not renewed for so long is lost
LEASE_SECONDS = 30
_LEASE = timedelta(seconds=LEASE_SECONDS)

#: label of a run: `reschedule` has another worker execute it again when its attempt is lost
ON_LOST = "penstock.on_lost"
#: label of a run: how often that happens before it ends as CRASHED
MAX_LOST = "penstock.max_lost"
MAX_LOST_DEFAULT = 3
#: the name of a run that waits for a worker because its attempt was lost
RESCHEDULED = "Rescheduled"
_LOST = "Lost: whoever executed this run has not renewed its attempt"
_SILENT = "Lost: the client that executed this run has sent no heartbeat for too long"

# Clients of the contract know no attempts, but send heartbeats: an event every 30 s or more, which
# does not say when the next one comes. Their runs are watched from the first one on.
#: what a client's heartbeats are apart until two of them have been seen
HEARTBEAT_SECONDS = 180
#: what they are apart at least
MIN_HEARTBEAT_SECONDS = 30
#: so many of them may be missed
MISSED_HEARTBEATS = 3
_HEARTBEAT_EVENT = "prefect.flow-run.heartbeat"
_FLOW_RUN_PREFIX = "prefect.flow-run."


def heartbeat_of(event: Mapping[str, Any]) -> UUID | None:
    """The flow run whose heartbeat an event with the wire's keys is; None for other events."""
    if event["event"] != _HEARTBEAT_EVENT:
        return None
    prefix, found, id = event["resource"]["prefect.resource.id"].rpartition(_FLOW_RUN_PREFIX)
    try:
        return UUID(id) if found and not prefix else None
    except ValueError:
        return None


def patience_after(heartbeat: datetime, previous: datetime | None) -> timedelta:
    """How long the run of a heartbeat is believed to be alive, by when the last one was sent."""
    apart = float(HEARTBEAT_SECONDS)
    if previous is not None:
        apart = max((heartbeat - previous).total_seconds(), MIN_HEARTBEAT_SECONDS)
    return timedelta(seconds=min(apart, 86_400.0) * MISSED_HEARTBEATS)


def only_the_current_attempt_writes(
    run: RunFacts, proposed: State, attempt: UUID | None
) -> Decision | None:
    """A write of an attempt that is over, lost or replaced is refused; others pass."""
    held = run.attempt_expires_at is not None
    if attempt is None or (held and attempt == run.attempt_id) or _claims(run, proposed, attempt):
        return None
    if attempt == run.attempt_id:
        # a client that missed the answer to its last write sends it again
        return None if same_transition(run.state, proposed) else abort(_over(run.state))
    return abort("This attempt was lost or replaced: another one executes the run")


def _claims(run: RunFacts, proposed: State, attempt: UUID) -> bool:
    """Whether a new attempt may take the run: nobody holds it, and it is about to start."""
    if run.attempt_expires_at is not None or attempt == run.attempt_id:
        return False
    if proposed.type is StateType.PENDING:
        return True  # rule 6 says whether it can be taken
    waits = run.state is not None and run.state.type is StateType.PENDING
    # an attempt lost long ago must not come back by proposing RUNNING once more
    return proposed.type is StateType.RUNNING and (run.attempt_id is None or waits)


def _over(current: State | None) -> str:
    if current is not None and current.type is StateType.CRASHED:
        return "This attempt was lost: it was not renewed in time, or its process crashed"
    return "This attempt is over: the run has left its hands"


def book_attempt(
    run: RunFacts, state: State, retry_type: str | None, attempt: UUID | None, now: datetime
) -> dict[str, Any]:
    """The columns that say who holds the run, once this state is written."""
    if _ends_attempt(state, retry_type):
        return {"attempt_id": run.attempt_id, "attempt_expires_at": None}
    if attempt is None:
        return {"attempt_id": run.attempt_id, "attempt_expires_at": run.attempt_expires_at}
    return {"attempt_id": attempt, "attempt_expires_at": now + _LEASE}


def _ends_attempt(state: State, retry_type: str | None) -> bool:
    if state.type in TERMINAL_STATE_TYPES:
        return True
    if state.type is StateType.SCHEDULED:
        return retry_type != "in_process"
    return state.type is StateType.PAUSED and bool(state.details.get("pause_reschedule"))


def count_losses(states: Iterable[tuple[str, str]]) -> int:
    """How often a run was rescheduled since it last ended, from (type, name) of its states."""
    losses = 0
    for type, name in states:
        if type in TERMINAL_STATE_TYPES:
            losses = 0
        losses += type == StateType.SCHEDULED and name == RESCHEDULED
    return losses


def may_be_rescheduled(labels: Mapping[str, Any], deployment_id: UUID | None) -> bool:
    """Whether a run shall be executed again when its attempt is lost, and can be."""
    return deployment_id is not None and labels.get(ON_LOST) == "reschedule"


def state_after_loss(
    state_type: StateType,
    labels: Mapping[str, Any],
    losses: int | None,
    now: datetime,
    *,
    silent: bool = False,
) -> State:
    """The state of a run whose attempt is lost; `losses` is None when it is not rescheduled.

    `silent`: it had no attempt, its client's heartbeats have ended.
    """
    lost = _SILENT if silent else _LOST
    if state_type is StateType.CANCELLING:  # it has got what was asked of it
        return make_state(StateType.CANCELLED, now, message=lost)
    if losses is None:
        return make_state(StateType.CRASHED, now, message=lost)
    most = labels.get(MAX_LOST)
    if not isinstance(most, int) or isinstance(most, bool):
        most = MAX_LOST_DEFAULT
    if losses >= most:
        message = f"{lost}, as {losses} times before, which is all that {MAX_LOST} allows"
        return make_state(StateType.CRASHED, now, message=message)
    return make_state(StateType.SCHEDULED, now, name=RESCHEDULED, message=lost)
