"""How many runs of a deployment, queue or pool are executed at once: what a run is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings
from penstock.services.late_runs import mark_late_runs
from penstock.services.lost_runs import rescue_lost_runs
from penstock.services.repossessor import repossess_slots
from penstock.store.database import Database
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
LEASE = "deployment_concurrency_lease_id"


def database_of(server: Server) -> Database:
    assert server.database is not None
    return server.database


async def make_deployment(api: Api, limit: int | None = 1, **fields: Json) -> str:
    """The id of a deployment with that limit, in the pool `p`."""
    await api.call("POST", "/work_pools/", {"name": "p", "type": "process"})
    flow_id = await api.make_flow()
    body = {"name": "d", "flow_id": flow_id, "work_pool_name": "p", "concurrency_limit": limit}
    deployment = await api.post("/deployments/", body | fields)
    return str(deployment["id"])


async def make_run(api: Api, deployment_id: str) -> str:
    run = await api.post(f"/deployments/{deployment_id}/create_flow_run")
    return str(run["id"])


async def propose(api: Api, run_id: str, type: str, **more: Json) -> Json:
    """The answer to a proposed state."""
    force = more.pop("force", False)
    headers = more.pop("headers", {})
    body = {"state": {"type": type, **more}, "force": force}
    answer = await api.call("POST", f"/flow_runs/{run_id}/set_state", body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


async def said(api: Api, run_id: str, type: str, **more: Json) -> str:
    """The answer to a proposed state, and the name of the state the run has then."""
    answer = await propose(api, run_id, type, **more)
    return f"{answer['status']} {answer['state']['name'] if answer['state'] else None}"


async def slots_of(api: Api, deployment_id: str) -> int:
    deployment = await api.get(f"/deployments/{deployment_id}")
    return int(deployment["global_concurrency_limit"]["active_slots"])


async def set_limit_of_pool(api: Api, limit: int | None) -> None:
    await api.patch("/work_pools/p", {"concurrency_limit": limit})


# ------------------------------------------------------------------ deployments


async def test_a_lease_that_a_client_names_is_not_taken_for_the_runs_own(api: Api) -> None:
    deployment = await make_deployment(api)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    taken = await propose(api, first, "PENDING")
    lease = taken["state"]["state_details"][LEASE]
    # a state that was copied from another run
    await propose(api, second, "SCHEDULED", state_details={LEASE: lease})
    assert await said(api, second, "PENDING") == "REJECT AwaitingConcurrencySlot"
    await propose(api, second, "CANCELLED", state_details={LEASE: lease})
    assert await slots_of(api, deployment) == 1


async def test_a_run_that_is_taken_from_its_process_keeps_its_slot_under_a_lower_limit(
    api: Api,
) -> None:
    deployment = await make_deployment(api, 2)
    policy = {"empirical_policy": {"retries": 1, "retry_delay": 0}}
    for _ in range(2):
        run = await api.post(f"/deployments/{deployment}/create_flow_run", policy)
        for type in ("PENDING", "RUNNING"):
            await propose(api, run["id"], type)
    assert await said(api, run["id"], "FAILED") == "REJECT AwaitingRetry"
    await api.patch(f"/deployments/{deployment}", {"concurrency_limit": 1})
    assert await said(api, run["id"], "PENDING") == "ACCEPT Pending"
    assert await slots_of(api, deployment) == 2
    await propose(api, run["id"], "CANCELLED")
    assert await slots_of(api, deployment) == 1


async def test_a_run_that_finds_no_slot_waits_for_half_a_minute(api: Api) -> None:
    deployment = await make_deployment(api)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    taken = await propose(api, first, "PENDING")
    lease = taken["state"]["state_details"][LEASE]
    assert (taken["status"], bool(lease)) == ("ACCEPT", True)
    waits = await propose(api, second, "PENDING")
    assert (waits["status"], waits["state"]["name"]) == ("REJECT", "AwaitingConcurrencySlot")
    due = datetime.fromisoformat(waits["state"]["state_details"]["scheduled_time"])
    assert timedelta(seconds=25) < due - datetime.now(UTC) <= timedelta(seconds=30)
    assert waits["state"]["state_details"][LEASE] is None
    running = await propose(api, first, "RUNNING", state_details={LEASE: None})
    assert running["state"]["state_details"][LEASE] == lease
    assert await slots_of(api, deployment) == 1
    done = await propose(api, first, "COMPLETED")
    assert done["state"]["state_details"][LEASE] == lease
    assert await slots_of(api, deployment) == 0
    assert await said(api, second, "PENDING") == "ACCEPT Pending"
    assert await slots_of(api, deployment) == 1


async def test_new_runs_are_cancelled_where_the_deployment_says_so(api: Api) -> None:
    options = {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 60}
    deployment = await make_deployment(api, concurrency_options=options)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    assert await said(api, first, "PENDING") == "ACCEPT Pending"
    assert await said(api, second, "PENDING") == "REJECT Cancelled"
    assert await slots_of(api, deployment) == 1


async def test_late_runs_are_cancelled_where_new_ones_are(server: Server, api: Api) -> None:
    options = {"collision_strategy": "CANCEL_NEW"}
    deployment = await make_deployment(api, concurrency_options=options)
    late = await make_run(api, deployment)
    other = await make_run(api, deployment)
    await propose(api, other, "PENDING")
    await mark_late_runs(database_of(server), datetime.now(UTC) + timedelta(seconds=20))
    assert (await api.get(f"/flow_runs/{late}"))["state_name"] == "Cancelled"
    await propose(api, other, "COMPLETED")
    late = await make_run(api, deployment)
    await mark_late_runs(database_of(server), datetime.now(UTC) + timedelta(seconds=20))
    assert (await api.get(f"/flow_runs/{late}"))["state_name"] == "Late"


async def test_a_shared_limit_holds_for_all_its_deployments(api: Api) -> None:
    limit = await api.post("/v2/concurrency_limits/", {"name": "shared", "limit": 1})
    shared = {"global_concurrency_limit_id": limit["id"]}
    one = await make_deployment(api, None, **shared)
    two = await make_deployment(api, None, name="e", **shared)
    first, second = await make_run(api, one), await make_run(api, two)
    assert await said(api, first, "PENDING") == "ACCEPT Pending"
    assert await said(api, second, "PENDING") == "REJECT AwaitingConcurrencySlot"
    await api.patch("/v2/concurrency_limits/shared", {"active": False})
    assert await said(api, second, "PENDING") == "ACCEPT Pending"
    await api.patch("/v2/concurrency_limits/shared", {"active": True, "limit": 0})
    third = await make_run(api, two)
    assert await said(api, third, "PENDING") == "ABORT Scheduled"
    await api.delete("/v2/concurrency_limits/shared")
    assert await said(api, third, "PENDING") == "ACCEPT Pending"
    assert await said(api, first, "COMPLETED") == "ACCEPT Completed"


async def test_a_deployment_shows_the_slots_that_are_taken_now(api: Api) -> None:
    rate = {"name": "rate", "limit": 9, "active_slots": 5, "slot_decay_per_second": 1e6}
    limit = await api.post("/v2/concurrency_limits/", rate)
    deployment = await make_deployment(api, None, global_concurrency_limit_id=limit["id"])
    assert await slots_of(api, deployment) == 0


async def test_a_run_of_a_deleted_deployment_is_not_taken(api: Api) -> None:
    deployment = await make_deployment(api)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    await propose(api, first, "PENDING")
    await propose(api, second, "PENDING")
    await api.delete(f"/deployments/{deployment}")
    assert await said(api, second, "PENDING") == "ABORT AwaitingConcurrencySlot"
    assert await said(api, first, "RUNNING") == "ACCEPT Running"
    assert await said(api, first, "COMPLETED") == "ACCEPT Completed"


@pytest.mark.parametrize(
    "steps",
    [
        ["PENDING", "CANCELLED"],
        ["PENDING", "SCHEDULED"],
        ["PENDING", "CRASHED"],
        ["PENDING", "RUNNING", "FAILED"],
        ["PENDING", "RUNNING", "CANCELLING", "CANCELLED"],
        ["PENDING", "RUNNING", "PAUSED"],
        ["PENDING", "RUNNING", "SCHEDULED"],
    ],
    ids="-".join,
)
@pytest.mark.parametrize("force", [False, True], ids=["proposed", "forced"])
async def test_every_way_out_gives_the_slot_back(api: Api, steps: list[str], force: bool) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    for n, type in enumerate(steps):
        last = n == len(steps) - 1
        answer = await propose(api, run, type, force=force and last)
        assert answer["status"] == "ACCEPT"
        assert await slots_of(api, deployment) == (0 if last else 1)
    assert await said(api, await make_run(api, deployment), "PENDING") == "ACCEPT Pending"


async def test_a_run_keeps_its_slot_while_its_process_retries_it(api: Api) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    policy = {"empirical_policy": {"retries": 1, "retry_delay": 0}}
    await api.patch(f"/flow_runs/{run}", policy)
    await propose(api, run, "PENDING")
    running = await propose(api, run, "RUNNING")
    assert await said(api, run, "FAILED") == "REJECT AwaitingRetry"
    assert await slots_of(api, deployment) == 1
    again = await propose(api, run, "RUNNING", name="Retrying")
    assert again["state"]["state_details"][LEASE] == running["state"]["state_details"][LEASE]
    assert await said(api, run, "FAILED") == "ACCEPT Failed"
    assert await slots_of(api, deployment) == 0


async def test_a_run_that_is_cancelled_while_it_waits_for_a_retry_gives_its_slot_back(
    api: Api,
) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    policy = {"empirical_policy": {"retries": 1, "retry_delay": 60}}
    await api.patch(f"/flow_runs/{run}", policy)
    for type in ("PENDING", "RUNNING", "FAILED"):
        await propose(api, run, type)
    assert await said(api, run, "CANCELLING") == "REJECT Cancelled"
    assert await slots_of(api, deployment) == 0


async def test_a_paused_process_may_go_on_to_renew_the_lease_of_its_slot(api: Api) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    await propose(api, run, "PENDING")
    running = await propose(api, run, "RUNNING")
    renew = f"/v2/concurrency_limits/leases/{running['state']['state_details'][LEASE]}/renew"
    await propose(api, run, "PAUSED")
    assert await slots_of(api, deployment) == 0
    assert (await api.call("POST", renew, {})).status_code == 204
    await propose(api, run, "RUNNING")
    assert (await api.call("POST", renew, {})).status_code == 204
    await propose(api, run, "COMPLETED")
    assert (await api.call("POST", renew, {})).status_code == 410
    assert await slots_of(api, deployment) == 0


async def test_a_deleted_run_gives_its_slot_back(api: Api) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    await propose(api, run, "PENDING")
    await api.delete(f"/flow_runs/{run}")
    assert await slots_of(api, deployment) == 0


async def test_a_lost_run_gives_its_slot_back(server: Server, api: Api) -> None:
    deployment = await make_deployment(api)
    run = await make_run(api, deployment)
    attempt = {"Penstock-Attempt": str(uuid4())}
    await propose(api, run, "PENDING", headers=attempt)
    await rescue_lost_runs(database_of(server), datetime.now(UTC) + timedelta(seconds=40))
    assert (await api.get(f"/flow_runs/{run}"))["state_type"] == "CRASHED"
    assert await slots_of(api, deployment) == 0


async def test_a_slot_whose_lease_ran_out_is_taken_again_or_the_run_is_cancelled(
    server: Server, api: Api
) -> None:
    deployment = await make_deployment(api)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    taken = await propose(api, first, "PENDING")
    assert await repossess_slots(database_of(server), datetime.now(UTC)) == 0
    expired = datetime.now(UTC) + timedelta(seconds=301)
    assert await repossess_slots(database_of(server), expired) == 1
    assert await slots_of(api, deployment) == 0
    running = await propose(api, first, "RUNNING")
    details = "state_details"
    assert running["state"][details][LEASE] not in (None, taken["state"][details][LEASE])
    assert await slots_of(api, deployment) == 1
    for type in ("COMPLETED", "SCHEDULED", "PENDING"):
        await propose(api, first, type)
    await repossess_slots(database_of(server), expired + timedelta(seconds=60))
    await propose(api, second, "PENDING")
    assert await said(api, first, "RUNNING") == "REJECT Cancelled"
    assert await slots_of(api, deployment) == 1


async def test_renewing_an_attempt_keeps_the_slot(server: Server, api: Api) -> None:
    deployment = await make_deployment(
        api, concurrency_options={"collision_strategy": "ENQUEUE", "grace_period_seconds": 60}
    )
    run = await make_run(api, deployment)
    attempt = str(uuid4())
    await propose(api, run, "PENDING", headers={"Penstock-Attempt": attempt})
    await api.post(f"/penstock/attempts/{attempt}/renew")
    now = datetime.now(UTC)
    assert await repossess_slots(database_of(server), now + timedelta(seconds=250)) == 0
    assert await repossess_slots(database_of(server), now + timedelta(seconds=310)) == 1


# ------------------------------------------------------------------ pools and queues


async def test_a_full_pool_takes_no_run_whatever_its_poll_said(api: Api) -> None:
    deployment = await make_deployment(api, None)
    await set_limit_of_pool(api, 1)
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    poll = {"scheduled_before": (datetime.now(UTC) + timedelta(seconds=5)).isoformat()}
    assert await said(api, first, "PENDING") == "ACCEPT Pending"
    answer = await propose(api, second, "PENDING")
    assert (answer["status"], answer["state"]["name"]) == ("ABORT", "Scheduled")
    assert "work pool 'p'" in answer["details"]["reason"]
    assert await said(api, first, "PENDING", name="Submitting") == "ACCEPT Submitting"
    await propose(api, first, "RUNNING")
    await propose(api, first, "CANCELLING")
    found = await api.post("/work_pools/p/get_scheduled_flow_runs", poll)
    assert [f["flow_run"]["id"] for f in found] == [second]
    assert await said(api, second, "PENDING") == "ACCEPT Pending"


async def test_a_full_queue_takes_no_run(api: Api) -> None:
    deployment = await make_deployment(api, None)
    await api.patch("/work_pools/p/queues/default", {"concurrency_limit": 1})
    first, second = await make_run(api, deployment), await make_run(api, deployment)
    assert await said(api, first, "PENDING") == "ACCEPT Pending"
    answer = await propose(api, second, "PENDING")
    assert "work queue 'default'" in answer["details"]["reason"]
    await propose(api, first, "COMPLETED")
    assert await said(api, second, "PENDING") == "ACCEPT Pending"


# ------------------------------------------------------------------ several servers


@pytest.fixture
async def apis(anyio_backend: str, database_url: str) -> AsyncIterator[list[Api]]:
    """Clients of two servers on one PostgreSQL; of the one that SQLite can have."""
    async with AsyncExitStack() as stack:
        apis = []
        for _ in range(2 if database_url.startswith("postgres") else 1):
            server = Server(Settings(database_url=database_url, services=False))
            await stack.enter_async_context(server.running())
            transport = httpx.ASGITransport(server.app)
            client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api")
            apis.append(Api(await stack.enter_async_context(client)))
        yield apis


@pytest.mark.parametrize("of", ["deployment", "pool"])
async def test_no_more_runs_than_the_limit_are_taken_at_once(apis: list[Api], of: str) -> None:
    api = apis[0]
    deployment = await make_deployment(api, 3 if of == "deployment" else None)
    if of == "pool":
        await set_limit_of_pool(api, 3)
    runs = [await make_run(api, deployment) for _ in range(12)]
    take = [partial(propose, apis[n % len(apis)], run, "PENDING") for n, run in enumerate(runs)]
    answers = await asyncio.gather(*[again_when_busy(t) for t in take])
    taken = [r for r, a in zip(runs, answers, strict=True) if a["status"] == "ACCEPT"]
    others = {"deployment": "REJECT", "pool": "ABORT"}[of]
    assert len(taken) == 3
    assert [a["status"] for a in answers].count(others) == 9
    leave = [partial(propose, apis[n % len(apis)], r, "COMPLETED") for n, r in enumerate(taken)]
    await asyncio.gather(*[again_when_busy(t) for t in leave])
    left = [r for r in runs if r not in taken]
    again = [await propose(api, r, "PENDING") for r in left]
    assert [a["status"] for a in again].count("ACCEPT") == 3


async def again_when_busy(call: Any) -> Json:
    """The answer; 503 says that nothing was changed and that the call may be repeated."""
    for _ in range(5):
        try:
            return await call()
        except AssertionError as e:
            if "again" not in str(e):
                raise
    raise AssertionError("busy for too long")
