"""Tasks: their results, their order and what the server hears of them."""

import asyncio
import threading
import time
from typing import Any

import pytest

from penstock import Client, flow, task, unmapped
from penstock.sdk.futures import TaskFuture
from tests.sdk.waiting import until

pytestmark = pytest.mark.usefixtures("api_url")


@task
def add(a: int, b: int = 0) -> int:
    return a + b


FINAL = ("COMPLETED", "FAILED")


def task_runs(client: Client, flow_name: str, count: int = 1) -> dict[str, Any]:
    """The flow's task runs by name, when so many have ended."""

    def read() -> list[Any]:
        found = client.read_task_runs(flows={"name": {"any_": [flow_name]}})
        return [run for run in found if run.state_type in FINAL]

    runs = until(read, lambda found: len(found) >= count)
    return {run.name: run for run in runs}


def state_names(client: Client, task_run: Any, count: int) -> list[str]:
    def read() -> list[Any]:
        return client.read_task_run_states(task_run.id)

    return [state.name for state in until(read, lambda found: len(found) >= count)]


def test_a_task_is_recorded_with_its_states_before_the_flow_ends(client: Client) -> None:
    @flow(name="records")
    def records() -> int:
        return add(1, b=2)

    assert records() == 3
    run = task_runs(client, "records")["add-0"]
    assert run.state_type == "COMPLETED"
    assert run.run_count == 1
    assert run.start_time <= run.end_time
    assert state_names(client, run, 3) == ["Pending", "Running", "Completed"]


def test_a_task_outside_of_a_flow_is_a_plain_call() -> None:
    assert add(1, 2) == 3


def test_a_failing_task_is_retried_after_each_of_its_delays(client: Client) -> None:
    times = []

    @task(retries=2, retry_delay_seconds=[0.01, 0.2])
    def flaky() -> int:
        times.append(time.monotonic())
        if len(times) < 3:
            raise ConnectionError("gone")
        return len(times)

    @flow(name="retries-a-task")
    def retries() -> int:
        return flaky()

    assert retries() == 3
    assert times[2] - times[1] >= 0.2
    run = task_runs(client, "retries-a-task")["flaky-0"]
    assert run.run_count == 3
    assert state_names(client, run, 7) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]


def test_retries_stop_where_the_condition_says_so() -> None:
    calls = []

    @task(retries=5, retry_condition=lambda task, run, state: len(calls) < 2)
    def flaky() -> None:
        calls.append(1)
        raise ConnectionError("gone")

    @flow
    def gives_up() -> None:
        flaky()

    with pytest.raises(ConnectionError):
        gives_up()
    assert len(calls) == 2


def test_delays_may_come_from_a_function() -> None:
    doubling = task(retries=3, retry_delay_seconds=lambda n: [2.0**i for i in range(n)])(
        add.function
    )
    assert [doubling.delay_before_retry(count) for count in (1, 2, 3, 4)] == [1, 2, 4, 4]


def test_a_task_that_takes_too_long_ends_as_timed_out(client: Client) -> None:
    @task(timeout_seconds=0.1)
    def slow() -> None:
        for _ in range(500):
            time.sleep(0.01)

    @flow(name="times-a-task-out")
    def waits() -> tuple[Any, Any]:
        return slow(return_state=True).name, slow.submit(return_state=True).name  # type: ignore

    assert waits() == ("TimedOut", "TimedOut")
    states = {run.state_name for run in task_runs(client, "times-a-task-out", 2).values()}
    assert states == {"TimedOut"}


def test_futures_as_arguments_are_waited_for_and_recorded_as_inputs(client: Client) -> None:
    @task
    def total(values: list[int]) -> int:
        return sum(values)

    @flow(name="depends")
    def depends() -> int:
        first, second = add.submit(1), add.submit(2)
        future: TaskFuture[int] = total.submit([first, second, 3], wait_for=[add.submit(0)])
        return future.result()

    assert depends() == 6
    runs = task_runs(client, "depends", 4)
    inputs = runs["total-0"].task_inputs
    assert {entry.id for entry in inputs["values"]} == {runs["add-0"].id, runs["add-1"].id}
    assert [entry.id for entry in inputs["wait_for"]] == [runs["add-2"].id]


def test_a_task_does_not_start_when_what_it_needs_has_failed(client: Client) -> None:
    @task
    def breaks() -> int:
        raise ValueError("broken")

    @flow(name="upstream-fails")
    def upstream_fails() -> Any:
        return add.submit(breaks.submit(), return_state=True)

    with pytest.raises(ValueError, match="broken"):
        upstream_fails()
    run = task_runs(client, "upstream-fails", 2)["add-0"]
    assert (run.state_type, run.state_name) == ("FAILED", "TriggerFailed")
    assert run.run_count == 0


def test_map_walks_lists_in_step_and_gives_results_in_order() -> None:
    @flow
    def maps() -> list[int]:
        return add.map([1, 2, 3], b=unmapped(10)).result() + add.map(range(2), [5, 6]).result()

    assert maps() == [11, 12, 13, 5, 7]


def test_map_refuses_lists_of_different_lengths() -> None:
    @flow
    def maps() -> None:
        add.map([1, 2], [1, 2, 3])

    with pytest.raises(ValueError, match="different lengths"):
        maps()


def test_submitted_tasks_run_at_the_same_time() -> None:
    both_here = threading.Barrier(2, timeout=10)

    @task
    def meets() -> int:
        return both_here.wait()

    @flow
    def meet() -> list[int]:
        return sorted([meets.submit(), meets.submit()], key=id)  # type: ignore[return-value]

    assert sorted(meet()) == [0, 1]


def test_tasks_that_wait_for_tasks_do_not_run_out_of_threads() -> None:
    @task
    def inner(x: int) -> int:
        return x

    @task
    def outer(x: int) -> int:
        future: TaskFuture[int] = inner.submit(x)
        return future.result()

    @flow(max_task_threads=1)
    def nested() -> list[int]:
        return outer.map([1, 2, 3]).result()

    assert nested() == [1, 2, 3]


def test_an_async_task_can_be_submitted_from_a_sync_flow() -> None:
    @task
    async def later(x: int) -> int:
        return x + 1

    @flow
    def submits() -> int:
        future: TaskFuture[int] = later.submit(1)
        return future.result()

    assert submits() == 2


def test_async_tasks_take_futures_without_blocking_the_event_loop() -> None:
    @task
    async def later(x: int) -> int:
        await asyncio.sleep(0.05)
        return x + 1

    @flow
    async def chained() -> tuple[int, int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        awaited = await later(later.submit(1))  # type: ignore[arg-type]
        ticking.cancel()
        submitted: TaskFuture[int] = later.submit(later.submit(2))
        return awaited, submitted.result(), ticks

    awaited, submitted, ticks = asyncio.run(chained())
    assert (awaited, submitted) == (3, 4)
    assert ticks > 3


def test_tasks_nobody_waits_for_end_before_the_flow(client: Client) -> None:
    @flow(name="forgets")
    def forgets() -> None:
        add.submit(1)

    forgets()
    assert task_runs(client, "forgets")["add-0"].state_type == "COMPLETED"


def test_task_runs_keep_their_ids_when_the_flow_is_retried(client: Client) -> None:
    calls = []

    @flow(name="reruns-tasks", retries=1)
    def reruns() -> int:
        calls.append(add(1))
        if len(calls) == 1:
            raise ValueError("again")
        return len(calls)

    assert reruns() == 2
    runs = task_runs(client, "reruns-tasks")
    assert len(runs) == 1
    assert len(state_names(client, runs["add-0"], 6)) == 6


def test_options_can_be_changed_for_one_use() -> None:
    other = add.with_options(name="plus", retries=1, tags=["x"])
    assert (other.name, other.retries, other.tags) == ("plus", 1, ["x"])
    assert add.name == "add"


def test_a_thousand_tasks_are_all_recorded(client: Client) -> None:
    @flow(name="thousand")
    def thousand() -> None:
        for number in range(1000):
            add(number)

    thousand()
    body: dict[str, Any] = {
        "flows": {"name": {"any_": ["thousand"]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    assert until(lambda: client.count_task_runs(**body), lambda count: count == 1000) == 1000
