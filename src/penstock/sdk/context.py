"""What this thread or coroutine is executing: the flow run and the task run around the code."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from penstock.sdk.errors import PenstockError

if TYPE_CHECKING:
    from penstock.sdk.flow_runs import LiveFlowRun

current_flow_run: ContextVar[LiveFlowRun | None] = ContextVar("current_flow_run", default=None)


class TaskRunContext(NamedTuple):
    """The task run that is being executed."""

    id: str
    name: str
    task_name: str


current_task_run: ContextVar[TaskRunContext | None] = ContextVar("current_task_run", default=None)


class MissingContext(PenstockError):
    """This only works inside a flow run or task run."""


def flow_run_here() -> LiveFlowRun:
    """The flow run around the calling code; raises MissingContext outside of one."""
    run = current_flow_run.get()
    if run is None:
        raise MissingContext("this only works inside a flow: call it from a function with @flow")
    return run
