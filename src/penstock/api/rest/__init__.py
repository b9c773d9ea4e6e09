"""The doors of the REST dialect; `ROUTERS` is all of them, the busiest first."""

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
)

ROUTERS = [
    deployments.router,
    deployment_lists.router,
    flow_runs.router,
    flow_run_lists.router,
    flow_run_changes.router,
    flow_run_states.router,
    flows.router,
    events.router,
    logs.router,
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
