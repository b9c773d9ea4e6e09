"""Penstock: a workflow orchestrator. Flows and tasks are plain Python functions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.sdk.client import AsyncClient, Client
    from penstock.sdk.concurrency import arate_limit, concurrency, rate_limit
    from penstock.sdk.deployments import arun_deployment, run_deployment
    from penstock.sdk.flows import Flow, flow
    from penstock.sdk.futures import TaskFuture
    from penstock.sdk.pauses import (
        apause_flow_run,
        aresume_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        resume_flow_run,
        suspend_flow_run,
    )
    from penstock.sdk.run_logs import get_run_logger
    from penstock.sdk.serving import serve
    from penstock.sdk.states import State
    from penstock.sdk.tasks import Task, task, unmapped

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Client",
    "Flow",
    "State",
    "Task",
    "TaskFuture",
    "__version__",
    "apause_flow_run",
    "arate_limit",
    "aresume_flow_run",
    "arun_deployment",
    "asuspend_flow_run",
    "concurrency",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "rate_limit",
    "resume_flow_run",
    "run_deployment",
    "serve",
    "suspend_flow_run",
    "task",
    "unmapped",
]

#: where each public name lives; imported at its first use, so that `import penstock` costs nothing
_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "Flow": "flows",
    "State": "states",
    "Task": "tasks",
    "TaskFuture": "futures",
    "apause_flow_run": "pauses",
    "arate_limit": "concurrency",
    "aresume_flow_run": "pauses",
    "arun_deployment": "deployments",
    "asuspend_flow_run": "pauses",
    "concurrency": "concurrency",
    "flow": "flows",
    "get_run_logger": "run_logs",
    "pause_flow_run": "pauses",
    "rate_limit": "concurrency",
    "resume_flow_run": "pauses",
    "run_deployment": "deployments",
    "serve": "serving",
    "suspend_flow_run": "pauses",
    "task": "tasks",
    "unmapped": "tasks",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute '{name}'")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"penstock.sdk.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
