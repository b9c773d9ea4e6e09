"""What a written state changes in its run: counts, times and the run's own copy of its state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.concurrency_rules import DeploymentSlots
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, moment

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the rules and the bookkeeping know of a flow run. The defaults are a new run's."""

    #: the current state; None before the first
    state: State | None = None
    #: entries of RUNNING so far
    run_count: int = 0
    #: runs granted beyond the first; None: never retried
    retries: int | None = None
    #: seconds before a retry
    retry_delay: int | None = None
    #: who runs it again: `in_process`, `reschedule` or nobody
    retry_type: str | None = None
    #: the next entry of RUNNING continues a paused run, so it is not counted
    resuming: bool = False
    #: the pauses this run has taken
    pause_keys: Sequence[str] = ()
    deployment_id: UUID | None = None
    #: set for a subflow run
    parent_task_run_id: UUID | None = None
    infrastructure_pid: str | None = None
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    #: seconds spent in RUNNING, the current stay left out
    total_run_time: float = 0.0
    #: the last attempt to execute it
    attempt_id: UUID | None = None
    #: when that attempt is lost unless renewed; None once it is over
    attempt_expires_at: datetime | None = None
    #: its deployment was deleted
    deployment_is_gone: bool = False
    #: None: as many runs of its deployment as anybody takes
    deployment_slots: DeploymentSlots | None = None
    #: the pool or queue that takes no more runs now, in words; None: there is room
    full: str | None = None


NEW_RUN = RunFacts()


def book_state(run: RunFacts, proposed: State) -> tuple[State, dict[str, Any]]:
    """The state as it is written, and the columns of the run that go with it, always the same.

    The state's timestamp is strictly later than the previous one's, whatever the clock says.
    """
    state = _in_place(run, proposed)
    now, type = state.timestamp, state.type
    runs, ends = type is StateType.RUNNING, type in TERMINAL_STATE_TYPES
    scheduled_time = moment(state, "scheduled_time") if type is StateType.SCHEDULED else None
    start_time = run.start_time or (now if runs or ends and run.end_time is None else None)
    return state, {
        "state_id": state.id,
        "state_type": type,
        "state_name": state.name,
        "state_timestamp": now,
        "start_time": start_time,
        "end_time": (run.end_time or now) if ends else None,
        "total_run_time": run.total_run_time + _seconds_running(run.state, now),
        "expected_start_time": run.expected_start_time or scheduled_time or now,
        "next_scheduled_start_time": scheduled_time,
        "run_count": run.run_count + (runs and not run.resuming),
        "resuming": run.resuming and not (runs or ends),
    }


def _in_place(run: RunFacts, state: State) -> State:
    earliest = None if run.state is None else run.state.timestamp + _TICK
    if earliest is not None and state.timestamp < earliest:
        state = replace(state, timestamp=earliest)
    if run.parent_task_run_id is not None:
        details = {**state.details, "task_run_id": run.parent_task_run_id}
        state = replace(state, details=details)
    return state


def _seconds_running(previous: State | None, now: datetime) -> float:
    if previous is None or previous.type is not StateType.RUNNING:
        return 0.0
    return (now - previous.timestamp).total_seconds()
