"""The doors of the REST dialect; `ROUTERS` is all of them, the busiest first."""

from penstock.api.rest import server

ROUTERS = [
    server.root,
    server.admin,
    server.csrf,
]
