"""Pauses that block, their input and their time-outs; messages from one run to another."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import flow, get_client, task
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import pause_flow_run, resume_flow_run
from prefect.input import RunInput, receive_input, send_input
from prefect.runtime import flow_run

IDS: dict[str, str] = {}


class Approval(RunInput):
    approved: bool
    by: str = "nobody"


@task
def before() -> str:
    return "before"


@flow
def waits() -> list[str]:
    IDS["waits"] = flow_run.id
    words = [before()]
    pause_flow_run(timeout=60, poll_interval=0.2)  # type: ignore[arg-type]
    return [*words, "after"]


@flow
def wants_a_number() -> int:
    IDS["wants_a_number"] = flow_run.id
    first = pause_flow_run(wait_for_input=int, timeout=60, poll_interval=0.2)
    second = pause_flow_run(wait_for_input=int, timeout=60, poll_interval=0.2)
    return first * 10 + second


@flow
async def wants_an_approval() -> list[Any]:
    IDS["wants_an_approval"] = flow_run.id
    form = Approval.with_initial_data(description="May I?", by="the form")
    answer = await pause_flow_run(wait_for_input=form, timeout=60, poll_interval=0.2)
    return [answer.approved, answer.by]


@flow
def gives_up() -> None:
    IDS["gives_up"] = flow_run.id
    pause_flow_run(timeout=1, poll_interval=0.2)


@flow
def receives() -> list[str]:
    IDS["receives"] = flow_run.id
    got = []
    for word in receive_input(str, timeout=30, poll_interval=0.2):
        got.append(word)
        if len(got) == 2:
            break
    return got


def as_soon_as(name: str, what: Callable[[UUID, Any], None], state: str, times: int = 1) -> Any:
    """Do something to a run from another thread each time it has come to a state."""

    def watch() -> None:
        seen = set()
        with get_client(sync_client=True) as client:
            while len(seen) < times:
                time.sleep(0.1)
                if name not in IDS:
                    continue
                run = client.read_flow_run(UUID(IDS[name]))
                if run.state and run.state.name == state and run.state.id not in seen:
                    # The form is stored a moment after the state.
                    keys = run.state.state_details.run_input_keyset
                    if keys and not _has(client, run.id, keys["schema"]):
                        continue
                    seen.add(run.state.id)
                    what(run.id, len(seen))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def _has(client: Any, run_id: UUID, key: str) -> bool:
    found = client.filter_flow_run_input(run_id, key, limit=1, exclude_keys=set())
    return bool(found)


def resume(run_id: UUID, number: int) -> None:
    resume_flow_run(run_id)


def resume_with_a_number(run_id: UUID, number: int) -> None:
    resume_flow_run(run_id, run_input={"value": number + 3})


REFUSED: list[str] = []


def refuse_then_approve(run_id: UUID, number: int) -> None:
    for wrong in ({}, {"approved": "perhaps"}):
        try:
            resume_flow_run(run_id, run_input=wrong)
        except Exception as error:
            REFUSED.append(f"{type(error).__name__}: {error}")
    resume_flow_run(run_id, run_input={"approved": True})


def say_two_words(run_id: UUID, number: int) -> None:
    for word in ("hello", "again"):
        send_input(word, run_id)


def main() -> None:
    facts: dict[str, Any] = {}
    as_soon_as("waits", resume, "Paused")
    facts["waits"] = waits()
    as_soon_as("wants_a_number", resume_with_a_number, "Paused", times=2)
    facts["number"] = wants_a_number()
    thread = as_soon_as("wants_an_approval", refuse_then_approve, "Paused")
    facts["approval"] = asyncio.run(wants_an_approval())
    thread.join(10)
    facts["refused"] = REFUSED
    try:
        gives_up()
    except FlowPauseTimeout as error:
        facts["gave up"] = str(error)
    as_soon_as("receives", say_two_words, "Running")
    facts["received"] = receives()
    try:
        resume_flow_run(UUID(IDS["waits"]))
    except NotPausedError:
        facts["resumed an ended run"] = "NotPausedError"
    assert FlowRunContext.get() is None
    facts["ids"] = IDS
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
