"""Polls of deployments by the process that serves them, and the automations that it asks for."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from penstock.operations.polls import NOTE_EVERY, mark_deployments_polled
from penstock.server.app import Server
from penstock.store.work_queues import select_deployments_to_note
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

POLL = "/deployments/get_scheduled_flow_runs"


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def make_deployment(api: Api, name: str = "d", **fields: Any) -> str:
    flow = await api.make_flow()
    return str((await api.post("/deployments/", {"name": name, "flow_id": flow, **fields}))["id"])


async def make_run(api: Api, deployment: str, name: str, due_in: float) -> Any:
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at(due_in)}}
    return await api.post(
        f"/deployments/{deployment}/create_flow_run", {"name": name, "state": state}
    )


async def test_a_poll_gives_the_scheduled_runs_of_the_named_deployments_by_time(api: Api) -> None:
    one, two = await make_deployment(api, "one"), await make_deployment(api, "two")
    other = await make_deployment(api, "other")
    await make_run(api, one, "second", -60)
    await make_run(api, two, "first", -120)
    await make_run(api, one, "later", 3600)
    await make_run(api, other, "not asked for", -60)

    async def names(**body: Any) -> list[str]:
        return [r["name"] for r in await api.post(POLL, {"deployment_ids": [one, two], **body})]

    assert await names() == ["first", "second", "later"]
    assert await names(scheduled_before=at(0)) == ["first", "second"]
    assert await names(limit=1) == ["first"]
    assert await api.post(POLL, {"deployment_ids": []}) == []
    (run,) = await api.post(POLL, {"deployment_ids": [other]})
    assert run["state"]["type"] == "SCHEDULED"
    taken = {"state": {"type": "PENDING"}}
    await api.post(f"/flow_runs/{run['id']}/set_state", taken)
    assert await api.post(POLL, {"deployment_ids": [other]}) == []


async def test_a_polled_deployment_is_ready_and_tells_so_once(api: Api, server: Server) -> None:
    deployment = await make_deployment(api)
    read = partial(api.get, f"/deployments/{deployment}")
    assert (await read())["status"] == "NOT_READY"
    told: list[Any] = []
    assert server.database is not None
    server.database.subscribers.append(told.extend)
    before = (await read())["updated"]
    for _ in range(2):
        await api.post(POLL, {"deployment_ids": [deployment]})
    after = await read()
    assert (after["status"], after["updated"]) == ("READY", before)
    assert after["last_polled"] is not None
    assert len([t for t in told if "prefect.deployment.ready" in str(t.body)]) == 1


async def test_polls_are_noted_every_fifteen_seconds_at_most(server: Server, api: Api) -> None:
    deployment = await make_deployment(api)
    await api.post(POLL, {"deployment_ids": [deployment]})
    noted = datetime.fromisoformat((await api.get(f"/deployments/{deployment}"))["last_polled"])
    ids, db = [UUID(deployment)], server.database
    assert db is not None

    async def to_note(now: datetime) -> int:
        before = now - NOTE_EVERY
        return len(await db.read(partial(select_deployments_to_note, ids=ids, before=before)))

    assert await to_note(noted + timedelta(seconds=14)) == 0
    later = noted + timedelta(seconds=16)
    assert await to_note(later) == 1
    await db.write(partial(mark_deployments_polled, ids=ids, now=later))
    assert await to_note(later + timedelta(seconds=1)) == 0


async def test_a_poll_without_deployments_or_with_a_bad_limit_is_refused(api: Api) -> None:
    assert (await api.call("POST", POLL, {})).status_code == 422
    bad = {"deployment_ids": [], "limit": 201}
    assert (await api.call("POST", POLL, bad)).status_code == 422


async def test_there_are_no_automations_and_creating_one_is_refused(api: Api) -> None:
    gone = await api.call("DELETE", "/automations/owned-by/prefect.deployment.1")
    assert (gone.status_code, gone.json()) == (202, None)
    assert await api.post("/automations/filter") == []
    assert await api.post("/automations/count") == 0
    related = await api.call("GET", "/automations/related-to/prefect.deployment.1")
    assert (related.status_code, related.json()) == (200, [])
    refused = await api.call("POST", "/automations/", {"name": "a"})
    assert refused.status_code == 501
    assert "not served yet" in refused.json()["detail"]
