"""Every operation the server offers has a method in both clients, and the methods work."""

import inspect
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.sdk.calls.answers import Id
from penstock.sdk.client import AsyncClient, Client, async_operation, operation
from penstock.sdk.errors import NotFound
from penstock.sdk.wire import Call
from penstock.server.app import Server
from penstock.server.settings import Settings

ID = str(uuid.uuid4())

#: served, but not for our clients
EXCEPTIONS = {
    ("GET", "/csrf-token"): "our clients show by a header that they are no web page",
}
#: what a required parameter is given, by its annotation
EXAMPLES: dict[str, Any] = {
    "Id": ID,
    "str": "name",
    "Fields": {},
    "Sequence[Fields]": [],
    "Sequence[Id]": [ID],
    "Sequence[str]": ["name"],
    "int": 1,
    "Any": "PENDING",
    "datetime": datetime(2030, 1, 1, tzinfo=UTC),
    "float": 60.0,
}
#: methods that stand for more than one operation
VARIANTS: dict[str, list[dict[str, Id]]] = {
    "create_flow_run": [{"flow_id": ID}, {"deployment_id": ID}],
}


def served_operations() -> Iterator[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = Server(Settings()).api.openapi()["paths"]
    for path, methods in paths.items():
        for method in methods:
            yield method.upper(), path.removeprefix("/api")


def example_calls(name: str, make: Any) -> Iterator[Call[Any]]:
    parameters = inspect.signature(make).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    positional = [EXAMPLES[p.annotation] for p in required if p.kind is not p.KEYWORD_ONLY]
    by_name = {p.name: EXAMPLES[p.annotation] for p in required if p.kind is p.KEYWORD_ONLY}
    for variant in VARIANTS.get(name, [{}]):
        yield make(*positional, **by_name, **variant)


def methods_of(owner: type) -> dict[str, Any]:
    kinds = (operation, async_operation)
    return {name: method for name, method in vars(owner).items() if isinstance(method, kinds)}


@pytest.mark.parametrize("owner", [Client, AsyncClient])
def test_every_served_operation_has_a_method(owner: type) -> None:
    served = set(served_operations())
    assert len(served) >= 95
    called = set()
    for name, method in methods_of(owner).items():
        for call in example_calls(name, method.make):
            operation = served_operation(call, served)
            assert operation is not None, f"{name} calls {call.method} {call.path}: not served"
            called.add(operation)
    assert served - called == set(EXCEPTIONS)


def served_operation(call: Call[Any], served: set[tuple[str, str]]) -> tuple[str, str] | None:
    if (call.method, call.path) in served:
        return call.method, call.path
    for method, path in served:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        if method == call.method and re.fullmatch(pattern, call.path):
            return method, path
    return None


# -- with a real server -------------------------------------------------------------------------


@pytest.fixture
def server(sqlite_server_url: str) -> Iterator[Client]:
    with Client(sqlite_server_url) as client:
        yield client


def any_of(*ids: Id) -> dict[str, Any]:
    return {"id": {"any_": list(ids)}}


def task_run_event(flow_run_id: Id) -> dict[str, Any]:
    task_run_id = str(uuid.uuid4())
    return {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC),
        "event": "prefect.task-run.Running",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{task_run_id}",
            "prefect.resource.name": "add-0",
            "prefect.state-type": "RUNNING",
            "prefect.state-name": "Running",
            "prefect.state-message": "",
            "prefect.state-timestamp": datetime.now(UTC).isoformat(),
            "prefect.orchestration": "client",
        },
        "related": [
            {
                "prefect.resource.id": f"prefect.flow-run.{flow_run_id}",
                "prefect.resource.role": "flow-run",
            }
        ],
        "payload": {
            "initial_state": None,
            "intended": {"from": None, "to": "RUNNING"},
            "validated_state": {"type": "RUNNING", "name": "Running", "message": ""},
            "task_run": {"task_key": "add", "dynamic_key": "0", "name": "add-0"},
        },
    }


def test_the_server_tells_about_itself(server: Client) -> None:
    assert server.read_ready().message == "OK"
    assert server.hello()
    assert re.fullmatch(r"\d+\.\d+\.\d+", server.read_api_version())
    assert server.read_api_version() != server.read_version()


def test_flows_are_paged_counted_and_deleted(server: Client) -> None:
    used, unused = server.create_flow("used"), server.create_flow("unused")
    deployment_id = server.create_deployment(name="daily", flow_id=used)
    later = datetime.now(UTC) + timedelta(hours=1)
    run_id = server.create_flow_run(deployment_id=deployment_id, scheduled_start_time=later)

    page = server.paginate_flows(sort="NAME_ASC", limit=1, page=2)
    assert (page.count, page.pages, [flow.id for flow in page.results]) == (2, 2, [used])
    assert server.count_deployments_by_flow([used]) == {used: 1}
    following = server.next_runs_by_flow([used, unused])
    assert {flow: run and run.id for flow, run in following.items()} == {used: run_id, unused: None}
    assert set(server.bulk_delete_flows(flows=any_of(used, unused))) == {used, unused}
    assert server.count_flows() == 0


def test_deployments_are_scheduled_paged_and_deleted(server: Client) -> None:
    server.create_work_pool("pool", type="process")
    deployment_id = server.create_deployment(
        name="daily", flow_id=server.create_flow("flow"), work_pool_name="pool"
    )
    page = server.paginate_deployments(limit=5)
    assert [deployment.id for deployment in page.results] == [deployment_id]
    assert server.work_queue_check_for_deployment(deployment_id) == []

    created = server.create_flow_runs(deployment_id, [{"name": "a"}, {"name": "b"}])
    assert [result.status for result in created] == ["CREATED", "CREATED"]
    assert all(result.flow_run_id for result in created)
    assert server.count_flow_runs(flow_runs={"name": {"any_": ["a", "b"]}}) == 2

    hourly = {"schedule": {"interval": 3600}, "active": True}
    server.create_deployment_schedules(deployment_id, [hourly])
    server.schedule_deployment(deployment_id, max_runs=4, min_runs=4)
    assert server.count_flow_runs() >= 6
    assert server.bulk_delete_deployments(deployments=any_of(deployment_id)) == [deployment_id]
    with pytest.raises(NotFound):
        server.read_deployment(deployment_id)


def test_flow_runs_are_charted_and_changed_in_bulk(server: Client) -> None:
    flow_id = server.create_flow("flow")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    late_run = server.create_flow_run(flow_id=flow_id, scheduled_start_time=an_hour_ago)
    runs = [late_run, *(server.create_flow_run(flow_id=flow_id) for _ in range(2))]
    server.set_flow_run_state(late_run, "RUNNING")

    page = server.paginate_flow_runs(limit=2)
    assert (page.count, len(page.results)) == (3, 2)
    state_id = server.read_flow_run(late_run).state_id
    assert state_id is not None
    assert server.read_flow_run_state(state_id).type == "RUNNING"
    now = datetime.now(UTC)
    history = server.read_flow_run_history(
        history_start=now - timedelta(hours=2),
        history_end=now + timedelta(hours=1),
        history_interval_seconds=1800,
    )
    assert sum(state.count_runs for part in history for state in part.states) == 3
    assert server.read_average_lateness(flow_runs=any_of(late_run)) == pytest.approx(3600, abs=60)
    assert server.read_average_lateness(flow_runs=any_of(ID)) is None
    assert [dot.id for dot in server.read_flow_run_dots(flow_runs=any_of(late_run))] == [late_run]
    assert server.count_task_runs_by_flow_run([late_run]) == {late_run: 0}

    changed = server.bulk_set_flow_run_state("CANCELLED", flow_runs=any_of(*runs[1:]), force=True)
    assert {result.flow_run_id for result in changed} == set(runs[1:])
    assert {result.status for result in changed} == {"ACCEPT"}
    assert set(server.bulk_delete_flow_runs(flow_runs=any_of(*runs))) == set(runs)
    assert server.count_flow_runs() == 0


def test_a_task_run_is_made_and_changed_by_the_client(server: Client) -> None:
    run_id = server.create_flow_run(flow_id=server.create_flow("flow"), state="RUNNING")
    id = server.create_task_run("add", "0", flow_run_id=run_id, tags=["a"])
    assert server.create_task_run("add", "0", flow_run_id=run_id) == id
    server.update_task_run(id, name="mine")
    assert server.set_task_run_state(id, "RUNNING").status == "ACCEPT"
    done = server.set_task_run_state(id, {"type": "COMPLETED"}, force=True)
    assert (done.status, server.read_task_run(id).name) == ("ACCEPT", "mine")
    since = {"start_time": {"after_": datetime.now(UTC) - timedelta(hours=1)}}
    counts = server.count_task_run_outcomes(task_runs=since)
    assert sum(count["completed"] for count in counts) == 1
    assert server.read_task_workers(["add"]) == []


def test_task_runs_and_their_events_are_read_paged_and_deleted(server: Client) -> None:
    run_id = server.create_flow_run(flow_id=server.create_flow("flow"), state="RUNNING")
    server.create_events([task_run_event(run_id), task_run_event(uuid.uuid4())])

    in_run = {"flow_runs": any_of(run_id)}
    (task_run,) = server.paginate_task_runs(**in_run).results
    assert task_run.state_id is not None
    assert server.read_task_run_state(task_run.state_id).type == "RUNNING"
    assert server.read_ui_task_run(task_run.id).task_key == "add"
    assert server.count_task_runs_by_state(**in_run).RUNNING == 1
    now = datetime.now(UTC)
    history = server.read_task_run_history(
        history_start=now - timedelta(hours=1),
        history_end=now + timedelta(hours=1),
        history_interval_seconds=3600,
        **in_run,
    )
    assert sum(state.count_runs for part in history for state in part.states) == 1
    server.delete_task_run(task_run.id)
    with pytest.raises(NotFound):
        server.read_task_run(task_run.id)

    running = {"event": {"name": ["prefect.task-run.Running"]}}
    first = server.read_events(filter=running, limit=1)
    assert (first.total, len(first.events)) == (2, 1)
    assert first.next_page is not None
    second = server.read_next_events(first.next_page)
    assert second.next_page is None
    assert second.events[0].id != first.events[0].id
    (counted,) = server.count_events_by("event", filter=running)
    assert (counted.value, counted.count) == ("prefect.task-run.Running", 2)


def test_queues_of_any_pool_are_found_changed_and_deleted(server: Client) -> None:
    queue = server.create_default_pool_queue("fast", priority=1)
    assert server.read_work_queue_by_name("fast").id == queue.id
    server.update_work_queue_by_id(queue.id, concurrency_limit=2)
    assert server.read_work_queue_by_id(queue.id).concurrency_limit == 2
    found = server.read_all_work_queues(work_queues={"name": {"any_": ["fast"]}})
    assert [one.id for one in found] == [queue.id]

    pool = queue.work_pool_name
    assert pool is not None
    deployment_id = server.create_deployment(
        name="d",
        flow_id=server.create_flow("flow"),
        work_pool_name=pool,
        work_queue_name="fast",
    )
    run_id = server.create_flow_run(deployment_id=deployment_id)
    assert [run.id for run in server.read_work_queue_runs(queue.id, limit=5)] == [run_id]
    assert server.read_work_queue_status(queue.id).late_runs_count == 0
    server.set_flow_run_state(run_id, "PENDING")
    assert server.read_work_queue_concurrency_status(queue.id).active_slots == 1
    slots = server.read_work_pool_concurrency_status(pool, limit=10)
    assert slots.active_slots == 1
    server.delete_work_queue_by_id(queue.id)
    with pytest.raises(NotFound):
        server.read_work_queue_by_id(queue.id)


@pytest.mark.anyio
async def test_the_async_client_does_the_same(sqlite_server_url: str) -> None:
    async with AsyncClient(sqlite_server_url) as client:
        flow_id = await client.create_flow("flow")
        page = await client.paginate_flows()
        assert [flow.id for flow in page.results] == [flow_id]
        assert await client.bulk_delete_flows(flows=any_of(flow_id)) == [flow_id]
