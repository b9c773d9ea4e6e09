"""Which state a worker sets when the process of a run has ended. Pure: facts in, state out."""

import signal
from enum import Enum
from typing import TYPE_CHECKING, Any

from penstock.contract.enums import StateType

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRun

_TERMINAL = {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED}


class Ending(Enum):
    """Why the worker ends a process."""

    #: Somebody cancelled the run.
    CANCELLED = "cancelled"
    #: The job's time is over.
    TIMED_OUT = "timed out"
    #: The worker was told to stop at once.
    STOPPED = "stopped with the worker"
    #: Another attempt owns the run, or the server has given this one up.
    LOST = "lost"
    #: The run is suspended; a flow that did this itself is about to end.
    SUSPENDED = "suspended"
    #: The run has ended, but its process has not.
    OVER = "over"


def is_terminal(flow_run: "FlowRun") -> bool:
    """Whether the run has ended."""
    return flow_run.state_type in _TERMINAL


def final_state(
    flow_run: "FlowRun", code: int | None, ending: Ending | None, seconds: float | None
) -> dict[str, Any] | None:
    """The state to set for a run whose process has ended with `code` (negative: killed by that
    signal), or None when the run's state is right as it is. `seconds` is the job's time-out.
    """
    if ending is Ending.LOST:
        return None
    if ending is Ending.TIMED_OUT and flow_run.state_type != StateType.COMPLETED:
        message = f"The run's process was ended after {seconds:g} seconds, its job's time-out."
        return {"type": "FAILED", "name": "TimedOut", "message": message}
    if is_terminal(flow_run):
        return None
    if ending is Ending.CANCELLED or flow_run.state_type == StateType.CANCELLING:
        return {"type": "CANCELLED", "message": "The run was cancelled; its process has ended."}
    if _left_for_later(flow_run):
        return None
    if ending is Ending.STOPPED:
        return {"type": "CRASHED", "message": "The worker was stopped while the run executed."}
    return {"type": "CRASHED", "message": describe_exit(code)}


def describe_exit(code: int | None) -> str:
    """One sentence about an exit code."""
    if code is None:
        return "The run's process was lost together with the worker's fork server."
    if code >= 0:
        return f"The run's process ended with exit code {code} before the run had ended."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return f"The run's process was killed by {name}{hint}."


def _left_for_later(flow_run: "FlowRun") -> bool:
    """A suspended run, or one that waits for any worker. A retry inside the process that is no
    more waits for nobody.
    """
    if flow_run.state_type == StateType.PAUSED:
        return True
    policy = flow_run.empirical_policy
    return flow_run.state_type == StateType.SCHEDULED and policy.retry_type != "in_process"
