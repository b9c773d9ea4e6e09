"""The doors of the REST dialect: the busy ones at once, the others when they are first asked for.

What a server loads before it is ready, everybody waits for.
"""

from importlib import import_module

from penstock.api.rest import (
    attempts,
    deployment_lists,
    deployments,
    events,
    flow_run_changes,
    flow_run_lists,
    flow_run_states,
    flow_runs,
    flows,
    logs,
    server,
    task_run_states,
    task_runs,
    work_pools,
    work_queues,
)
from penstock.api.routes import Doors

#: the busiest first
ROUTERS = [
    deployments.router,
    deployment_lists.router,
    flow_runs.router,
    work_pools.router,
    flow_run_lists.router,
    flow_run_changes.router,
    flow_run_states.router,
    flows.router,
    events.router,
    logs.router,
    work_queues.router,
    attempts.router,
    task_runs.router,
    task_run_states.router,
    flow_run_lists.ui_router,
    flows.ui_router,
    task_runs.ui_router,
    server.root,
    server.admin,
    server.csrf,
]

#: modules with further doors, by the first part of their paths
LATER = {
    "admin": ["result_storage"],
    "artifacts": ["artifacts"],
    "automations": ["automations"],
    "block_capabilities": ["block_schemas"],
    "block_documents": ["block_documents"],
    "block_schemas": ["block_schemas"],
    "block_types": ["block_types"],
    "collections": ["collections"],
    "concurrency_limits": ["tag_limits"],
    "flow_runs": ["flow_run_graph", "flow_run_inputs", "flow_run_logs"],
    "saved_searches": ["saved_searches"],
    "task_workers": ["task_workers"],
    "v2": ["concurrency_limits"],
    "variables": ["variables"],
}


def later_routers(part: str) -> list[Doors]:
    """Those of the doors loaded later whose paths begin with that part."""
    modules = [import_module(f"{__name__}.{name}") for name in LATER.get(part, ())]
    return [
        doors
        for module in modules
        for doors in vars(module).values()
        if isinstance(doors, Doors) and all(d.path.split("/")[1] == part for d in doors.doors)
    ]


def all_routers() -> list[Doors]:
    """All doors there are."""
    return [*ROUTERS, *(router for part in LATER for router in later_routers(part))]
