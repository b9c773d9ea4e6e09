"""Every websocket under the API's root, in a list."""

from starlette.websockets import WebSocket

from penstock.api.websockets.events_in import events_in
from penstock.api.websockets.live import events_out, logs_out
from penstock.api.websockets.task_runs import scheduled_task_runs


async def connect_worker(websocket: WebSocket) -> None:
    """The channel between a worker and its pool, loaded when the first worker comes."""
    from penstock.api.websockets import worker_channel

    await worker_channel.connect_worker(websocket)


#: paths, whose parameters are texts (`/work_pools/{name}/...`), and what converses there
SOCKETS = [
    ("/events/in", events_in),
    ("/events/out", events_out),
    ("/logs/out", logs_out),
    ("/task_runs/subscriptions/scheduled", scheduled_task_runs),
    ("/work_pools/{name}/workers/connect", connect_worker),
]
