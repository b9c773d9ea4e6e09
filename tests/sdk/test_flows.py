"""Flows, called directly, against a real server."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from penstock import Client, State, flow, get_run_logger, task
from penstock.sdk.context import MissingContext, flow_run_here
from penstock.sdk.errors import ParameterError
from tests.sdk.waiting import until

pytestmark = pytest.mark.usefixtures("api_url")


def states_of(client: Client, run_id: str) -> list[str]:
    return [state.name for state in client.read_flow_run_states(run_id)]


def only_run(client: Client, flow_name: str) -> Any:
    runs = client.read_flow_runs(flows={"name": {"any_": [flow_name]}})
    assert len(runs) == 1
    return runs[0]


def test_a_called_flow_gives_its_result_and_leaves_a_completed_run(client: Client) -> None:
    @flow(name="adds", tags=["sums"], version="7")
    def adds(a: int, b: int = 2) -> int:
        return a + b

    assert adds(1) == 3
    run = only_run(client, "adds")
    assert run.state_type == "COMPLETED"
    assert run.parameters == {"a": 1, "b": 2}
    assert run.tags == ["sums"]
    assert run.flow_version == "7"
    assert states_of(client, run.id) == ["Pending", "Running", "Completed"]


def test_an_async_flow_is_awaited(client: Client) -> None:
    @task
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    @flow(name="awaited")
    async def awaited(x: int) -> int:
        first, second = await asyncio.gather(double(x), double(x + 1))
        return first + second + await double.submit(10)

    assert asyncio.run(awaited(1)) == 2 + 4 + 20
    run = only_run(client, "awaited")
    assert run.state_type == "COMPLETED"
    body = {"flow_runs": {"id": {"any_": [run.id]}}}
    assert until(lambda: client.count_task_runs(**body), lambda count: count == 3) == 3


def test_a_failing_flow_raises_its_own_exception_and_is_failed(client: Client) -> None:
    @flow(name="fails")
    def fails() -> None:
        raise LookupError("no such day")

    with pytest.raises(LookupError, match="no such day"):
        fails()
    run = only_run(client, "fails")
    assert run.state_type == "FAILED"
    assert run.state.message == "LookupError: no such day"
    logs = until(lambda: client.read_logs(logs={"flow_run_id": {"any_": [run.id]}}))
    assert "no such day" in logs[-1].message


def test_return_state_gives_the_state_instead_of_raising(client: Client) -> None:
    @flow
    def broken() -> None:
        raise ValueError("x")

    state: Any = broken(return_state=True)  # type: ignore[call-arg]
    assert isinstance(state, State)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ValueError)


def test_a_flow_with_retries_runs_again_and_the_history_shows_it(client: Client) -> None:
    calls = []

    @flow(name="retried", retries=2, retry_delay_seconds=0)
    def retried() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("not yet")
        return len(calls)

    assert retried() == 3
    run = only_run(client, "retried")
    assert run.run_count == 3
    assert states_of(client, run.id) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]


@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_flow_that_takes_too_long_ends_as_timed_out(client: Client, in_main_thread: bool) -> None:
    name = f"slow-{in_main_thread}"

    @flow(name=name, timeout_seconds=0.2)
    def slow() -> None:
        for _ in range(500):
            time.sleep(0.01)

    caught: list[BaseException] = []

    def call() -> None:
        try:
            slow()
        except TimeoutError as error:
            caught.append(error)

    if in_main_thread:
        call()
    else:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert "longer than 0.2 s" in str(caught[0])
    run = only_run(client, name)
    assert (run.state_type, run.state_name) == ("FAILED", "TimedOut")


def test_an_async_flow_that_takes_too_long_ends_as_timed_out(client: Client) -> None:
    @flow(name="slow-async", timeout_seconds=0.1)
    async def slow() -> None:
        await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(slow())
    assert only_run(client, "slow-async").state_name == "TimedOut"


def test_a_flow_broken_off_by_the_user_is_crashed(client: Client) -> None:
    @flow(name="broken-off")
    def broken_off() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert only_run(client, "broken-off").state_type == "CRASHED"


def test_parameters_are_converted_to_their_annotated_types() -> None:
    @flow
    def typed(day: date, count: int, names: list[str]) -> tuple[date, int, list[str]]:
        return day, count, names

    assert typed("2026-01-02", "3", ("a", "b")) == (  # type: ignore[arg-type]
        date(2026, 1, 2),
        3,
        ["a", "b"],
    )


def test_wrong_parameters_are_refused_by_name_and_create_no_run(client: Client) -> None:
    @flow(name="refuses")
    def refuses(count: int, rest: str = "") -> None:
        raise AssertionError("must not run")

    with pytest.raises(ParameterError, match="count: Input should be a valid integer"):
        refuses("many")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="missing a required argument: 'count'"):
        refuses()  # type: ignore[call-arg]
    assert client.count_flow_runs(flows={"name": {"any_": ["refuses"]}}) == 0


def test_parameters_json_cannot_hold_are_recorded_as_text(client: Client) -> None:
    @flow(name="odd-parameters", validate_parameters=False)
    def odd(one: object, many: object) -> None:
        return None

    odd(object, {1, 2})
    run = only_run(client, "odd-parameters")
    assert run.parameters == {"one": "<class 'object'>", "many": [1, 2]}


def test_a_flow_fails_when_a_returned_future_failed(client: Client) -> None:
    @task
    def breaks() -> None:
        raise ValueError("broken")

    @flow(name="returns-futures")
    def returns() -> Any:
        return [breaks.submit(), breaks.submit()]

    with pytest.raises(ValueError, match="broken"):
        returns()
    run = only_run(client, "returns-futures")
    assert run.state_type == "FAILED"
    assert run.state.message == "2 of 2 states did not complete"


def test_a_flow_gives_the_results_of_returned_futures() -> None:
    @task
    def one() -> int:
        return 1

    @flow
    def returns() -> Any:
        return {"all": [one.submit(), one.submit()], "plain": 3}

    assert returns() == {"all": [1, 1], "plain": 3}


def test_a_flow_in_a_flow_is_a_run_of_its_own_behind_a_task_run(client: Client) -> None:
    @flow(name="inner")
    def inner(x: int) -> int:
        return x + 1

    @flow(name="outer")
    def outer() -> int:
        return inner(1) + inner(2)

    assert outer() == 5
    parent = only_run(client, "outer")
    children = client.read_flow_runs(flow_runs={"parent_flow_run_id": {"any_": [str(parent.id)]}})
    assert len(children) == 2
    tasks = client.read_task_runs(flow_runs={"id": {"any_": [str(parent.id)]}})
    assert {run.name for run in tasks} == {"inner-0", "inner-1"}
    assert {run.id for run in tasks} == {child.parent_task_run_id for child in children}
    for run in tasks:
        assert (run.state_type, run.run_count) == ("COMPLETED", 1)
        assert run.state is not None
        assert run.state.state_details.child_flow_run_id in {child.id for child in children}
        types = [state.type for state in client.read_task_run_states(run.id)]
        assert types[-2:] == ["RUNNING", "COMPLETED"]


def test_an_async_flow_in_an_async_flow_that_fails_shows_so(client: Client) -> None:
    @flow(name="async-inner")
    async def inner() -> None:
        raise ValueError("no luck")

    @flow(name="async-outer")
    async def outer() -> str:
        state: Any = await inner(return_state=True)  # type: ignore[call-arg,func-returns-value]
        return str(state.name)

    assert asyncio.run(outer()) == "Failed"
    parent = only_run(client, "async-outer")
    [run] = client.read_task_runs(flow_runs={"id": {"any_": [str(parent.id)]}})
    assert (run.state_type, run.state.message) == ("FAILED", "ValueError: no luck")  # type: ignore[union-attr]


def test_log_lines_and_prints_are_stored_with_their_run(client: Client) -> None:
    @task
    def speaks() -> None:
        get_run_logger().warning("from the task %d", 1)

    @flow(name="speaks", log_prints=True)
    def speaking() -> None:
        get_run_logger().info("from the flow")
        print("printed", "words")
        speaks()

    speaking()
    run = only_run(client, "speaks")
    body = {"logs": {"flow_run_id": {"any_": [run.id]}}, "sort": "TIMESTAMP_ASC"}
    logs = until(lambda: client.read_logs(**body), lambda found: len(found) == 3)
    assert [(line.level, line.message) for line in logs] == [
        (20, "from the flow"),
        (20, "printed words"),
        (30, "from the task 1"),
    ]
    tasks = until(lambda: client.read_task_runs(flow_runs={"id": {"any_": [run.id]}}))
    assert logs[2].task_run_id == tasks[0].id
    assert logs[0].task_run_id is None


def test_run_names_come_from_a_template(client: Client) -> None:
    @flow(name="named", flow_run_name="load-{day}")
    def named(day: str) -> str:
        return flow_run_here().name

    assert named("monday") == "load-monday"


def test_a_run_logger_outside_of_a_run_says_so() -> None:
    with pytest.raises(MissingContext, match="inside a flow"):
        get_run_logger()


def test_a_deleted_flow_is_created_again(client: Client) -> None:
    @flow(name="deleted-meanwhile")
    def again() -> int:
        return 1

    again()
    client.delete_flow(client.read_flow_by_name("deleted-meanwhile").id)
    assert again() == 1


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    kept = [
        thread
        for thread in set(threading.enumerate()) - before
        if not thread.daemon and thread.is_alive()
    ]
    assert kept == []
