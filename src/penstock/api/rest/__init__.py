"""The doors of the REST dialect; `ROUTERS` is all of them, the busiest first."""

from penstock.api.rest import attempts, deployments, flow_runs, flows, server

ROUTERS = [
    deployments.router,
    flow_runs.router,
    flows.router,
    attempts.router,
    server.root,
    server.admin,
    server.csrf,
]
