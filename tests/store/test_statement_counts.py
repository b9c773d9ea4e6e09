"""How many SQL statements each of the common requests costs. The table is the record.

A further statement per request is a decision: whoever needs one changes the table.
"""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio

#: request: (SQLite, PostgreSQL); BEGIN and COMMIT are not counted
COUNTS = {
    "create": (3, 1),
    "create with tags": (4, 1),
    "create with a key": (4, 1),
    "create again with the key": (3, 3),
    "create in a new queue": (7, 5),
    "create in a known queue": (4, 2),
    "create ad hoc": (4, 2),
    "create 100 at once": (10, 4),
    "set PENDING": (4, 2),
    "set RUNNING": (4, 2),
    "set COMPLETED": (4, 2),
    # a limit of the deployment: 4 to take a slot, 2 to look after it, 4 to give it back
    "set PENDING within a limit": (8, 6),
    "set RUNNING within a limit": (6, 4),
    "set COMPLETED within a limit": (8, 6),
    "find no slot": (4, 2),
    "renew an attempt within a limit": (2, 2),
    # limits of pool and queue: each is counted; PostgreSQL locks the pool
    "set PENDING within limits of pool and queue": (6, 5),
    # the task run that stands for a subflow follows it: its facts, its columns, its state
    "create a subflow run": (7, 5),
    "set RUNNING of a subflow run": (7, 5),
    "create a task run": (5, 6),
    "set RUNNING of a task run": (3, 3),
    "read one run": (1, 1),
    "renew an attempt": (1, 1),
    "poll": (2, 2),
    "list 200 runs": (1, 1),
    "count runs": (1, 1),
}


#: the fan-out's statements, which come after the answer and are shared by many requests
_FAN_OUT = re.compile(
    r"FROM outbox|pg_snapshot_xmin|INTO event\w* "
    r"|^SELECT (flow|deployment)\.id, \1\.name\s|AS pool_type"
)


@dataclass
class Counted:
    """An API whose server counts its statements."""

    api: Api
    postgres: bool
    seen: list[str] = field(default_factory=list)
    deployment: Json = None

    async def __call__(self, what: str, method: str, path: str, body: Json = None) -> Json:
        """Do the request for which that line of the table stands; its answer's JSON."""
        self.seen.clear()
        answer = await self.api.call(method, path, body)
        assert answer.is_success, answer.text
        own = [s for s in self.seen if not _FAN_OUT.search(s)]
        listing = "\n".join(s[:150].replace("\n", " ") for s in own)
        said = f"{what}: {len(own)} statements\n{listing}"
        assert len(own) == COUNTS[what][self.postgres], said
        return answer.json() if answer.content else None

    async def create(self, what: str, **body: Json) -> Json:
        """A counted create from the deployment."""
        path = f"/deployments/{self.deployment['id']}/create_flow_run"
        return await self(what, "POST", path, body)


@pytest.fixture
async def counted(anyio_backend: str, database_url: str) -> AsyncIterator[Counted]:
    """A server without loops on a fresh database, with a deployment whose facts are remembered."""
    seen: list[str] = []
    server = Server(Settings(database_url=database_url, services=False), listener=seen.append)
    transport = httpx.ASGITransport(server.app)
    async with (
        server.running(),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api") as client,
    ):
        api = Api(client)
        counted = Counted(api, database_url.startswith("postgres"), seen)
        await api.post("/work_pools/", {"name": "p", "type": "process"})
        flow_id = await api.make_flow()
        body = {"name": "d", "flow_id": flow_id, "work_pool_name": "p"}
        counted.deployment = await api.post("/deployments/", body)
        await api.post(f"/deployments/{counted.deployment['id']}/create_flow_run")
        yield counted


async def test_a_create_costs_what_the_table_says(counted: Counted) -> None:
    await counted.create("create", parameters={"a": 1}, context={"b": 2}, name="c")
    await counted.create("create with tags", tags=["x", "y", "z"])
    await counted.create("create with a key", idempotency_key="k")
    await counted.create("create again with the key", idempotency_key="k")
    await counted.create("create in a new queue", work_queue_name="q")
    await counted.create("create in a known queue", work_queue_name="q")
    body = {"flow_id": counted.deployment["flow_id"]}
    await counted("create ad hoc", "POST", "/flow_runs/", body)


async def test_a_bulk_create_costs_what_the_table_says(counted: Counted) -> None:
    path = f"/deployments/{counted.deployment['id']}/create_flow_run/bulk"
    bodies = [{"parameters": {"n": n}} for n in range(100)]
    await counted("create 100 at once", "POST", path, bodies)


async def test_a_change_of_state_costs_what_the_table_says(counted: Counted) -> None:
    run = await counted.create("create")
    path = f"/flow_runs/{run['id']}/set_state"
    headers = {"Penstock-Attempt": str(uuid.uuid4())}
    counted.api.client.headers.update(headers)
    await counted("set PENDING", "POST", path, {"state": {"type": "PENDING"}})
    await counted("set RUNNING", "POST", path, {"state": {"type": "RUNNING"}})
    renew = f"/penstock/attempts/{headers['Penstock-Attempt']}/renew"
    await counted("renew an attempt", "POST", renew)
    await counted("set COMPLETED", "POST", path, {"state": {"type": "COMPLETED"}})


async def test_a_run_within_limits_costs_what_the_table_says(counted: Counted) -> None:
    api, deployment = counted.api, f"/deployments/{counted.deployment['id']}"
    await api.patch(deployment, {"concurrency_limit": 1})
    await api.post(f"{deployment}/create_flow_run")
    first, second = [await counted.create("create") for _ in range(2)]
    path = f"/flow_runs/{first['id']}/set_state"
    headers = {"Penstock-Attempt": str(uuid.uuid4())}
    api.client.headers.update(headers)
    await counted("set PENDING within a limit", "POST", path, {"state": {"type": "PENDING"}})
    await counted("set RUNNING within a limit", "POST", path, {"state": {"type": "RUNNING"}})
    renew = f"/penstock/attempts/{headers['Penstock-Attempt']}/renew"
    await counted("renew an attempt within a limit", "POST", renew)
    other = f"/flow_runs/{second['id']}/set_state"
    await counted("find no slot", "POST", other, {"state": {"type": "PENDING"}})
    await counted("set COMPLETED within a limit", "POST", path, {"state": {"type": "COMPLETED"}})
    await api.patch(deployment, {"concurrency_limit": None})
    await api.patch("/work_pools/p", {"concurrency_limit": 2})
    await api.patch("/work_pools/p/queues/default", {"concurrency_limit": 2})
    what = "set PENDING within limits of pool and queue"
    await counted(what, "POST", other, {"state": {"type": "PENDING"}})


async def test_task_runs_and_subflows_cost_what_the_table_says(counted: Counted) -> None:
    flow_id = counted.deployment["flow_id"]
    run = await counted.api.make_flow_run(flow_id, "RUNNING")
    keys = {"flow_run_id": run["id"], "task_key": "k", "dynamic_key": "0"}
    task = await counted("create a task run", "POST", "/task_runs/", keys)
    body = {"flow_id": flow_id, "parent_task_run_id": task["id"]}
    child = await counted("create a subflow run", "POST", "/flow_runs/", body)
    running = {"state": {"type": "RUNNING"}}
    path = f"/flow_runs/{child['id']}/set_state"
    await counted("set RUNNING of a subflow run", "POST", path, running)
    path = f"/task_runs/{task['id']}/set_state"
    await counted("set RUNNING of a task run", "POST", path, running)


async def test_reading_costs_what_the_table_says(counted: Counted) -> None:
    run = await counted.create("create")
    await counted("read one run", "GET", f"/flow_runs/{run['id']}")
    await counted("list 200 runs", "POST", "/flow_runs/filter", {})
    await counted("count runs", "POST", "/flow_runs/count", {})


async def test_a_poll_costs_what_the_table_says(counted: Counted) -> None:
    body = {"scheduled_before": datetime.now(UTC).isoformat()}
    path = "/work_pools/p/get_scheduled_flow_runs"
    await counted.api.post(path, body)  # the first notes that the queue was polled
    await counted("poll", "POST", path, body)
