"""Every websocket under the API's root, in a list."""

from penstock.api.websockets.events_in import events_in
from penstock.api.websockets.live import events_out, logs_out
from penstock.api.websockets.task_runs import scheduled_task_runs
from penstock.api.websockets.worker_channel import connect_worker

#: paths, whose parameters are texts (`/work_pools/{name}/...`), and what converses there
SOCKETS = [
    ("/events/in", events_in),
    ("/events/out", events_out),
    ("/logs/out", logs_out),
    ("/task_runs/subscriptions/scheduled", scheduled_task_runs),
    ("/work_pools/{name}/workers/connect", connect_worker),
]
