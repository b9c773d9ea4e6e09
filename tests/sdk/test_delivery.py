"""Events, log lines and attempts: what is delivered, and what happens when it cannot be."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import flow, get_run_logger, task
from penstock.sdk import attempts, reporter
from penstock.sdk.client import Client
from penstock.sdk.errors import FailedRun, RunAborted
from penstock.sdk.reporter import Reporter
from tests.sdk.stub_server import Answer, Seen, StubServer, stub_server

RUN_ID = str(uuid.uuid4())


class FlowServer:
    """Answers what a direct flow call asks; a test changes single routes."""

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[Seen], Answer]] = {}

    def __call__(self, request: Seen) -> Answer:
        for part, answer in self.routes.items():
            if part in request.path:
                return answer(request)
        if request.path.endswith("/flow_runs/"):
            run = {"id": RUN_ID, "name": "heavy-fox", "flow_id": RUN_ID, "run_count": 0}
            return 201, run
        if request.path.endswith("/set_state"):
            return accept(request)
        return 200, {"id": RUN_ID, "state_type": "RUNNING", "lease_seconds": 30}


def accept(request: Seen) -> Answer:
    state = request.body["state"]
    return 201, {"status": "ACCEPT", "details": {}, "state": state}


def reject(kind: str, name: str | None = None) -> Answer:
    state = {"type": kind, "name": name or kind.capitalize(), "state_details": {}}
    return 200, {"status": "REJECT", "details": {}, "state": state}


@pytest.fixture
def server() -> FlowServer:
    return FlowServer()


@pytest.fixture
def stub(server: FlowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    with stub_server(server) as stub:
        monkeypatch.setenv("PENSTOCK_API_URL", stub.url)
        yield stub


@pytest.fixture
def quick_renewals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    renewer = attempts.Renewer(interval_seconds=0.05)
    for module in ("flow_runs", "flow_engine"):
        monkeypatch.setattr(f"penstock.sdk.{module}.renewer", renewer)
    yield
    renewer.stop()


def paths(stub: StubServer) -> list[str]:
    return [seen.path.removeprefix("/api") for seen in stub.seen]


def test_logs_and_events_are_delivered_before_the_final_state(stub: StubServer) -> None:
    @task
    def one() -> None:
        get_run_logger().info("a line")

    @flow
    def reports() -> None:
        one()

    reports()
    asked = [path for path in paths(stub) if not path.endswith("/renew")]
    assert asked[:3] == ["/flows/", "/flow_runs/", f"/flow_runs/{RUN_ID}/set_state"]
    assert sorted(asked[3:5]) == ["/events", "/logs/"]
    assert asked[5:] == [f"/flow_runs/{RUN_ID}/set_state"]
    events = next(seen for seen in stub.seen if seen.path.endswith("/events"))
    names = [event["event"] for event in events.body]
    assert names == [
        "prefect.task-run.Pending",
        "prefect.task-run.Running",
        "prefect.task-run.Completed",
    ]
    follows = [event["follows"] for event in events.body]
    assert follows == [None, events.body[0]["id"], events.body[1]["id"]]


def test_every_write_of_a_run_names_one_attempt(stub: StubServer) -> None:
    @task
    def one() -> None:
        return None

    @flow
    def attempted() -> None:
        one()

    attempted()
    named = {
        seen.headers.get("Penstock-Attempt")
        for seen in stub.seen
        if seen.path.endswith(("/set_state", "/events"))
    }
    assert len(named) == 1
    assert uuid.UUID(str(named.pop()))


def test_a_task_that_takes_very_many_futures_makes_no_huge_event(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.sdk.task_runs.MAX_RECORDED_INPUTS", 3)

    @task
    def one(x: int) -> int:
        return x

    @task
    def total(values: list[int]) -> int:
        return sum(values)

    @flow
    def collects() -> int:
        return total(one.map(range(10)))  # type: ignore[arg-type]

    assert collects() == 45
    events = [event for seen in stub.seen if "/events" in seen.path for event in seen.body]
    inputs = [event["payload"]["task_run"].get("task_inputs") for event in events]
    assert max(len(given["values"]) for given in inputs if given) == 3


def test_batches_are_bounded(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "MAX_EVENT_BYTES", 1000)
    with Client(stub.url) as client:
        reports = Reporter(client)
        for number in range(1200):
            reports.add_event({"number": number})
        reports.add_event({"text": "x" * 2000})
        reports.close()
    batches = [seen.body for seen in stub.seen]
    numbers = [event.get("number", 1200) for batch in batches for event in batch]
    assert sorted(numbers) == [*range(1201)]
    assert max(len(batch) for batch in batches) <= 500
    assert len(batches) > 10


def test_undelivered_reports_are_said(
    stub: StubServer, server: FlowServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.routes["/logs"] = lambda request: (422, {"detail": "no"})
    with Client(stub.url) as client, caplog.at_level(logging.ERROR):
        reports = Reporter(client)
        reports.add_log({"message": "a"})
        reports.close()
    assert "1 reports were refused" in caplog.text


def test_a_run_is_renewed_while_it_runs(stub: StubServer, quick_renewals: None) -> None:
    renewed = threading.Event()

    @flow
    def waits() -> bool:
        return renewed.wait(10)

    def renew(_request: Seen) -> Answer:
        renewed.set()
        return 200, {"state_type": "RUNNING"}

    stub.answer.routes["/attempts/"] = renew  # type: ignore[attr-defined]
    assert waits() is True


def test_a_server_without_attempts_is_asked_once(
    stub: StubServer, server: FlowServer, quick_renewals: None
) -> None:
    asked = threading.Semaphore(0)

    def unknown(_request: Seen) -> Answer:
        asked.release()
        return 404, {"detail": "Not Found"}

    server.routes["/attempts/"] = unknown

    @flow
    def waits() -> tuple[bool, bool]:
        return asked.acquire(timeout=10), asked.acquire(timeout=0.3)

    assert waits() == (True, False)


@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_cancelled_run_is_broken_off_and_ends_cancelled(
    stub: StubServer, server: FlowServer, quick_renewals: None, in_main_thread: bool
) -> None:
    server.routes["/attempts/"] = lambda request: (200, {"state_type": "CANCELLING"})

    @flow
    def endless() -> None:
        for _ in range(500):
            threading.Event().wait(0.02)

    ended: list[Any] = []

    def call() -> None:
        try:
            endless()
        except FailedRun as error:
            ended.append(error)

    if in_main_thread:
        call()
    else:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert len(ended) == 1
    assert stub.seen[-1].body["state"]["type"] == "CANCELLED"


def test_an_async_run_is_broken_off_too(
    stub: StubServer, server: FlowServer, quick_renewals: None
) -> None:
    import asyncio

    server.routes["/attempts/"] = lambda request: (200, {"state_type": "CANCELLING"})

    @flow
    async def endless() -> None:
        await asyncio.sleep(60)

    with pytest.raises(FailedRun):
        asyncio.run(endless())
    assert stub.seen[-1].body["state"]["type"] == "CANCELLED"


def test_a_lost_attempt_breaks_the_run_off_and_writes_no_more(
    stub: StubServer, server: FlowServer, quick_renewals: None
) -> None:
    server.routes["/attempts/"] = lambda request: (410, {"detail": "lost"})

    @flow
    def endless() -> None:
        for _ in range(500):
            threading.Event().wait(0.02)

    with pytest.raises(RunAborted, match="lost"):
        endless()
    assert len([path for path in paths(stub) if path.endswith("set_state")]) == 1


def test_a_refused_start_does_not_run_the_body(stub: StubServer, server: FlowServer) -> None:
    server.routes["/set_state"] = lambda request: (
        200,
        {"status": "ABORT", "details": {"reason": "somebody has it"}, "state": None},
    )

    @flow
    def refused() -> None:
        raise AssertionError("must not run")

    with pytest.raises(RunAborted, match="somebody has it"):
        refused()


def test_a_run_that_must_wait_proposes_again(stub: StubServer, server: FlowServer) -> None:
    answers = [(200, {"status": "WAIT", "details": {"delay_seconds": 0}, "state": None})]
    server.routes["/set_state"] = lambda request: answers.pop() if answers else accept(request)

    @flow
    def waits() -> int:
        return 1

    assert waits() == 1
    assert len([path for path in paths(stub) if path.endswith("set_state")]) == 3


def test_a_run_cancelled_while_it_ends_is_cancelled(stub: StubServer, server: FlowServer) -> None:
    def answer(request: Seen) -> Answer:
        is_completion = request.body["state"]["type"] == "COMPLETED"
        return reject("CANCELLING") if is_completion else accept(request)

    server.routes["/set_state"] = answer

    @flow
    def ends() -> int:
        return 1

    state: Any = ends(return_state=True)  # type: ignore[call-arg]
    assert state.is_cancelled()
    assert stub.seen[-1].body["state"]["type"] == "CANCELLED"


def test_a_forked_child_speaks_on_connections_of_its_own(stub: StubServer) -> None:
    import os

    @flow
    def forks() -> int:
        get_run_logger().info("parent")
        child = os.fork()
        if child == 0:
            from penstock.sdk.context import flow_run_here

            get_run_logger().info("child")
            flow_run_here().reporter.flush()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert forks() == 0
    lines = [line for seen in stub.seen if seen.path.endswith("/logs/") for line in seen.body]
    assert sorted(line["message"] for line in lines) == ["child", "parent"]
    assert {line["flow_run_id"] for line in lines} == {RUN_ID}
