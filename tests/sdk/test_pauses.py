"""Flows that wait for people: paused in their process or suspended, with input and without."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from penstock import (
    Client,
    apause_flow_run,
    aresume_flow_run,
    flow,
    pause_flow_run,
    resume_flow_run,
    suspend_flow_run,
    task,
)
from penstock.sdk.context import MissingContext
from penstock.sdk.entrypoints import load_flow
from penstock.sdk.errors import NotFound, PauseTimedOut, RunRefused
from penstock.sdk.run import execute_flow_run
from tests.sdk.waiting import until


class Order(BaseModel):
    """What is to be bought."""

    count: int
    note: str = "-"


def run_of(client: Client, name: str, state: str = "PAUSED") -> str:
    """The id of the flow's run, once it is in that state."""
    wanted = {"name": {"any_": [name]}}

    def runs() -> list[Any]:
        found = client.read_flow_runs(flows=wanted)
        return [run for run in found if run.state_type == state]

    found = until(runs)
    assert found, f"no run of {name} is {state}"
    return str(found[0].id)


def answered(
    client: Client, name: str, answer: Callable[[str], None], call: Callable[[], Any]
) -> Any:
    """What the call gives, while somebody answers the pause of its run."""
    with ThreadPoolExecutor(1) as somebody:
        done = somebody.submit(lambda: answer(run_of(client, name)))
        value = call()
        done.result()
    return value


def test_a_paused_flow_waits_in_its_process_until_it_is_resumed(client: Client) -> None:
    name = f"waits-{uuid.uuid4()}"
    seen: list[str] = []

    @flow(name=name)
    def waits() -> str:
        seen.append("before")
        assert pause_flow_run(poll_interval=0.1) is None
        seen.append("after")
        return "done"

    assert answered(client, name, resume_flow_run, waits) == "done"
    assert seen == ["before", "after"]
    [run] = client.read_flow_runs(flows={"name": {"any_": [name]}})
    types = [state.type for state in client.read_flow_run_states(run.id)]
    assert types == ["PENDING", "RUNNING", "PAUSED", "RUNNING", "COMPLETED"]


def test_input_is_validated_and_given_as_the_model(client: Client) -> None:
    name = f"orders-{uuid.uuid4()}"

    @flow(name=name)
    def orders() -> Order:
        found: Order = pause_flow_run(Order, description="How many?", poll_interval=0.1)
        return found

    def answer(run_id: str) -> None:
        with pytest.raises(RunRefused, match="count"):
            resume_flow_run(run_id, {"count": "many"})
        asked = client.read_flow_run_input(run_id, "paused-1-description")
        assert asked == '"How many?"'
        resume_flow_run(run_id, {"count": 3})

    assert answered(client, name, answer, orders) == Order(count=3)


def test_a_plain_type_is_an_input_too_and_each_pause_has_its_own(client: Client) -> None:
    name = f"numbers-{uuid.uuid4()}"

    @flow(name=name)
    def numbers() -> tuple[int, list[str]]:
        return pause_flow_run(int, poll_interval=0.1), pause_flow_run(list[str], poll_interval=0.1)

    def answer(run_id: str) -> None:
        resume_flow_run(run_id, 7)
        until(lambda: _has_input(client, run_id, "paused-2-schema"))
        until(lambda: client.read_flow_run(run_id).state_type == "PAUSED")
        resume_flow_run(run_id, ["a"])

    assert answered(client, name, answer, numbers) == (7, ["a"])


def _has_input(client: Client, run_id: str, key: str) -> bool:
    try:
        client.read_flow_run_input(run_id, key)
    except NotFound:
        return False
    return True


def test_an_async_flow_pauses_without_stopping_its_event_loop(client: Client) -> None:
    name = f"async-{uuid.uuid4()}"

    @flow(name=name)
    async def waits() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        given = await apause_flow_run(int, poll_interval=0.1)
        ticking.cancel()
        assert ticks > 5
        return int(given)

    async def both() -> int:
        async def answer() -> None:
            run_id = await asyncio.to_thread(run_of, client, name)
            await aresume_flow_run(run_id, 4)

        answering = asyncio.create_task(answer())
        result = await waits()
        await answering
        return result

    assert asyncio.run(both()) == 4


def test_a_pause_that_nobody_ends_raises(client: Client) -> None:
    name = f"forgotten-{uuid.uuid4()}"

    @flow(name=name)
    def forgotten() -> None:
        pause_flow_run(timeout_seconds=0.2, poll_interval=0.1)

    def expire(run_id: str) -> None:
        # what the server's loop does every few seconds, or earlier
        state: Any = client.read_flow_run(run_id).state
        until(lambda: datetime.now(UTC) > state.state_details.pause_timeout)
        client.resume_flow_run(run_id)

    with pytest.raises(PauseTimedOut):
        answered(client, name, expire, forgotten)


def test_only_a_flow_may_pause(client: Client) -> None:
    with pytest.raises(MissingContext):
        pause_flow_run()

    @task
    def pauses() -> None:
        pause_flow_run()

    @flow
    def calls_it() -> None:
        pauses()

    with pytest.raises(MissingContext, match="in the flow itself"):
        calls_it()


def test_a_run_without_a_deployment_cannot_be_suspended(client: Client) -> None:
    @flow(name=f"alone-{uuid.uuid4()}")
    def alone() -> None:
        suspend_flow_run()

    with pytest.raises(RunRefused, match="deployment"):
        alone()


def test_a_run_that_is_not_paused_is_not_resumed(client: Client) -> None:
    flow_id = client.create_flow(f"runs-{uuid.uuid4()}")
    run_id = client.create_flow_run(flow_id=flow_id, state={"type": "RUNNING"})
    with pytest.raises(RunRefused, match="not paused"):
        resume_flow_run(run_id)


SUSPENDS = """
from penstock import flow, suspend_flow_run, task

@task
def record(word: str) -> str:
    with open({log!r}, "a") as file:
        file.write(word + " ")
    return word

@flow(name={name!r})
def suspends() -> str:
    record("begin")
    given = suspend_flow_run(str, timeout_seconds=60)
    record(given)
    return given
"""


def test_a_suspended_run_leaves_its_process_and_another_passes_that_point(
    client: Client, tmp_path: Path
) -> None:
    name, log = f"suspends-{uuid.uuid4()}", tmp_path / "log"
    (tmp_path / "flows.py").write_text(SUSPENDS.format(name=name, log=str(log)))
    loaded = load_flow("flows.py:suspends", tmp_path)
    deployment_id = loaded.deploy("d", client=client)
    run_id = client.create_flow_run(deployment_id=deployment_id)

    def execute() -> Any:
        client.set_flow_run_state(run_id, "PENDING")
        return execute_flow_run(loaded, run_id, client=client)

    state = execute()
    assert (state.type, state.name) == ("PAUSED", "Suspended")
    assert log.read_text() == "begin "
    assert client.read_flow_run(run_id).state_name == "Suspended"
    resume_flow_run(run_id, "second")
    assert client.read_flow_run(run_id).state_name == "Resuming"
    assert execute().result() == "second"
    assert log.read_text() == "begin begin second "
    assert client.read_flow_run(run_id).run_count == 1


def test_another_run_can_be_suspended_from_outside(client: Client) -> None:
    flow_id = client.create_flow(f"other-{uuid.uuid4()}")
    deployment_id = client.create_deployment(name="d", flow_id=flow_id)
    run_id = client.create_flow_run(deployment_id=deployment_id)
    for state in ("PENDING", "RUNNING"):
        client.set_flow_run_state(run_id, state)
    suspend_flow_run(flow_run_id=run_id, client=client)
    assert client.read_flow_run(run_id).state_name == "Suspended"
    with pytest.raises(RunRefused, match="not suspended"):
        suspend_flow_run(flow_run_id=run_id, client=client)


def test_hooks_are_called_with_the_run_and_its_state(client: Client) -> None:
    told: list[tuple[str, str, str]] = []
    main = threading.get_ident()

    def hook(owner: Any, run: Any, state: Any) -> None:
        told.append((owner.name, str(run.name), state.name))

    async def slow_hook(owner: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        assert threading.get_ident() != main
        told.append((owner.name, "async", state.name))

    def broken_hook(owner: Any, run: Any, state: Any) -> None:
        raise RuntimeError("a hook")

    hooks = {"on_running": [hook], "on_completion": [slow_hook], "on_failure": [broken_hook, hook]}

    @task(name="t", task_run_name="one", **hooks)  # type: ignore[call-overload,untyped-decorator]  # several options at once
    def work(fail: bool) -> None:
        if fail:
            raise ValueError("no luck")

    @flow(name="hooked", flow_run_name="here", **hooks)  # type: ignore[call-overload,untyped-decorator]  # several options at once
    def hooked(fail: bool) -> None:
        work(fail)

    hooked(False)
    assert told == [
        ("hooked", "here", "Running"),
        ("t", "one", "Running"),
        ("t", "async", "Completed"),
        ("hooked", "async", "Completed"),
    ]
    told.clear()
    with pytest.raises(ValueError, match="no luck"):
        hooked(True)
    assert told[-2:] == [("t", "one", "Failed"), ("hooked", "here", "Failed")]
