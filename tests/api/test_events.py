"""Events over HTTP, and the events that the server makes of new states."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC) - timedelta(minutes=1)


def event(name: str, seconds: float = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "occurred": (NOW + timedelta(seconds=seconds)).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": "thing"},
    } | fields


async def found(api: Api, count: int, **filter: Any) -> list[dict[str, Any]]:
    """The events that match, once there are so many of them."""
    async with asyncio.timeout(10):
        while True:
            page = await api.post("/events/filter", {"filter": filter})
            if page["total"] >= count:
                events: list[dict[str, Any]] = page["events"]
                return events
            await asyncio.sleep(0.02)


async def test_events_are_stored_and_found_newest_first(api: Api) -> None:
    sent = [event("a"), event("b", 1, payload={"n": 1}, follows=str(uuid4()))]
    answer = await api.call("POST", "/events", sent)
    assert answer.status_code == 204
    page = await api.post("/events/filter", {})
    assert (page["total"], page["next_page"]) == (2, None)
    newest = page["events"][0]
    assert (newest["id"], newest["event"]) == (sent[1]["id"], "b")
    assert (newest["payload"], newest["follows"]) == ({"n": 1}, sent[1]["follows"])
    assert newest["resource"] == sent[1]["resource"]
    assert set(newest) == {
        *("id", "occurred", "event", "resource", "related", "payload", "follows", "received")
    }


async def test_an_empty_list_of_ids_asks_for_none_in_particular(api: Api) -> None:
    sent = event("a")
    await api.post("/events", [sent])
    assert len(await found(api, 1, id={"id": []})) == 1
    body = {"filter": {"id": {"id": [str(uuid4())]}}}
    assert (await api.post("/events/filter", body))["total"] == 0
    assert len(await found(api, 1, id={"id": [sent["id"]]})) == 1


async def test_pages_are_followed_by_their_urls(api: Api) -> None:
    await api.post("/events", [event(str(i), i) for i in range(5)])
    page = await api.post("/events/filter", {"limit": 2})
    seen = []
    while True:
        seen += [e["event"] for e in page["events"]]
        assert page["total"] == 5
        if page["next_page"] is None:
            break
        page = (await api.client.get(httpx.URL(page["next_page"]))).json()
    assert seen == list("43210")


@pytest.mark.parametrize("token", ["abc", "e30", "%", "W10"])
async def test_a_page_token_of_another_making_is_refused(api: Api, token: str) -> None:
    answer = await api.call("GET", "/events/filter/next", params={"page-token": token})
    assert answer.status_code == 403


async def test_a_new_state_becomes_the_contracts_event(api: Api) -> None:
    flow = await api.make_flow("hello")
    run = await api.make_flow_run(flow, tags=["b", "a"])
    await api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}})
    running, pending = await found(api, 2, event={"prefix": ["prefect.flow-run"]})
    assert (pending["event"], pending["follows"]) == ("prefect.flow-run.Pending", None)
    assert pending["id"] == run["state"]["id"]
    assert (running["event"], running["follows"]) == ("prefect.flow-run.Running", pending["id"])
    resource = running["resource"]
    assert resource.pop("prefect.state-timestamp").startswith("20")
    assert resource == {
        "prefect.resource.id": f"prefect.flow-run.{run['id']}",
        "prefect.resource.name": run["name"],
        "prefect.run-count": "1",
        "prefect.state-message": "",
        "prefect.state-name": "Running",
        "prefect.state-type": "RUNNING",
    }
    assert running["related"] == [
        {
            "prefect.resource.id": f"prefect.flow.{flow}",
            "prefect.resource.role": "flow",
            "prefect.resource.name": "hello",
        },
        {"prefect.resource.id": "prefect.tag.a", "prefect.resource.role": "tag"},
        {"prefect.resource.id": "prefect.tag.b", "prefect.resource.role": "tag"},
    ]
    assert running["payload"] == {
        "intended": {"from": "PENDING", "to": "RUNNING"},
        "initial_state": {"type": "PENDING", "name": "Pending"},
        "validated_state": {"type": "RUNNING", "name": "Running"},
    }


async def test_events_are_counted(api: Api) -> None:
    await api.post("/events", [event("a"), event("a", 1), event("b", 2)])
    by_name = await api.post("/events/count-by/event", {"filter": {}})
    assert [(g["value"], g["count"]) for g in by_name] == [("a", 2), ("b", 1)]
    by_thing = await api.post("/events/count-by/resource", {"filter": {}})
    assert [(g["value"], g["label"], g["count"]) for g in by_thing] == [("thing", "thing", 3)]
    days = await api.post("/events/count-by/day", {"filter": {}})
    assert sum(g["count"] for g in days) == 3
    assert len(days) == 181
    wrong = await api.call("POST", "/events/count-by/colour", {"filter": {}})
    assert wrong.status_code == 422


async def test_reported_task_runs_are_there_when_the_events_are_acknowledged(api: Api) -> None:
    flow = await api.make_flow()
    run = await api.make_flow_run(flow, "RUNNING")
    task_run = str(uuid4())
    report = event(
        "prefect.task-run.Running",
        resource={
            "prefect.resource.id": f"prefect.task-run.{task_run}",
            "prefect.orchestration": "client",
        },
        related=[
            {
                "prefect.resource.id": f"prefect.flow-run.{run['id']}",
                "prefect.resource.role": "flow-run",
            }
        ],
        payload={
            "validated_state": {"type": "RUNNING", "name": "Running"},
            "task_run": {"task_key": "t", "dynamic_key": "0", "run_count": 1},
        },
    )
    await api.post("/events", [report])
    await api.post("/events", [report])
    stored = await api.get(f"/task_runs/{task_run}")
    assert (stored["state_name"], stored["flow_run_id"]) == ("Running", run["id"])
    lost = {"Penstock-Attempt": str(uuid4())}
    answer = await api.call("POST", "/events", [report], headers=lost)
    assert answer.status_code == 410


async def test_a_report_that_cannot_be_read_is_refused_by_place(api: Api) -> None:
    report = event(
        "prefect.task-run.Running",
        resource={
            "prefect.resource.id": "prefect.task-run.x",
            "prefect.orchestration": "client",
        },
    )
    answer = await api.call("POST", "/events", [event("a"), report])
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", 1]
    assert (await api.post("/events/filter"))["total"] == 0
