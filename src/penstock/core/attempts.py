"""Attempts: who executes a run, and until when the server believes it alive."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.bookkeeping import RunFacts
from penstock.core.decisions import Decision, abort
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, same_transition

#: an attempt that was not renewed for so long is lost
LEASE_SECONDS = 30
_LEASE = timedelta(seconds=LEASE_SECONDS)


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
        return True
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
