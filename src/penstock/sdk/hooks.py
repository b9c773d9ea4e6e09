"""Functions that users have called when a run has changed its state."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from penstock.sdk import calls
from penstock.sdk.run_logs import get_run_logger
from penstock.sdk.states import State

if TYPE_CHECKING:
    from penstock.sdk.flow_runs import LiveFlowRun
    from penstock.sdk.task_runs import LiveTaskRun

#: gets the flow (or task), its run and the state it has entered; may be a coroutine function
Hook = Callable[[Any, Any, Any], Any]

#: the option of flows and tasks that lists the hooks of a state's type
OPTIONS = {
    "RUNNING": "on_running",
    "COMPLETED": "on_completion",
    "FAILED": "on_failure",
    "CANCELLING": "on_cancellation",
    "CANCELLED": "on_cancellation",
    "CRASHED": "on_crashed",
}


def hooks_of(owner: Any, state: State) -> list[Hook]:
    """The hooks that a flow or task has for this state."""
    return list(getattr(owner, OPTIONS.get(state.type, ""), ()))


def as_hooks(hooks: Iterable[Hook] | None) -> list[Hook]:
    """The option's value as a list of its own."""
    return list(hooks or ())


def call_flow_hooks(run: LiveFlowRun, state: State) -> None:
    """Calls the flow's hooks with the run as the server has it."""
    hooks = hooks_of(run.flow, state)
    if hooks:
        flow_run = run.client.do(calls.read_flow_run(run.id))
        with run.context():
            _call_each(hooks, run.flow, flow_run, state)


def call_task_hooks(run: LiveTaskRun, state: State) -> None:
    """Calls the task's hooks with the task run (`id`, `name`)."""
    with run:
        _call_each(hooks_of(run.task, state), run.task, run, state)


def _call_each(hooks: Iterable[Hook], owner: Any, run: Any, state: State) -> None:
    logger = get_run_logger()
    for hook in hooks:
        name = getattr(hook, "__name__", repr(hook))
        try:
            answer = hook(owner, run, state)
            if inspect.iscoroutine(answer):
                _finish(answer)
        except Exception:  # a hook must not change how the run ended
            logger.exception("The hook %s failed", name)


def _finish(coroutine: Any) -> None:
    """Runs a coroutine to its end, also in a thread that has an event loop already."""
    import asyncio

    problems: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run, name="penstock-hook")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
