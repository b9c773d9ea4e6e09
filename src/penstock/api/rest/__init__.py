"""The doors of the REST dialect; `ROUTERS` is all of them, the busiest first."""

from penstock.api.rest import attempts, flows, server

ROUTERS = [
    flows.router,
    attempts.router,
    server.root,
    server.admin,
    server.csrf,
]
