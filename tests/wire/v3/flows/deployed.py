"""Flows that are deployed, served and executed by workers; no process of its own."""

import os
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.deployments import run_deployment
from prefect.flow_runs import suspend_flow_run
from prefect.runtime import deployment, flow_run


@task
def word(name: str) -> str:
    return f"hello {name}"


@flow(log_prints=True, persist_result=True)
def greet(name: str = "world", times: int = 1) -> list[str]:
    """Say hello."""
    said = [word(name) for _ in range(times)]
    print(*said, os.environ.get("WIRE_VARIABLE", ""))
    return said


@flow(persist_result=True)
def asks(question: str) -> list[Any]:
    """Leave its process until somebody has answered."""
    first = word("before")
    answer = suspend_flow_run(wait_for_input=str, timeout=120, key="ask")
    return [question, first, answer, flow_run.run_count]


@flow(persist_result=True)
def calls(name: str) -> list[Any]:
    """Have another deployment run, as a subflow and apart."""
    below = run_deployment(name, parameters={"name": "below"}, poll_interval=0.5, timeout=90)
    apart = run_deployment(name, timeout=0, as_subflow=False)
    assert below.state is not None
    return [str(below.id), below.state.type.value, below.state.result(), str(apart.id)]


def tell(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook that leaves a note."""
    note = Path(flow_run.parameters["folder"]) / f"{flow_run.id}.{state.name}"
    note.write_text(str(os.getpid()))


@flow(on_cancellation=[tell], on_completion=[tell], on_failure=[tell], on_crashed=[tell])
def sleeps(folder: str, seconds: float = 600) -> None:
    """Say that it runs, then wait to be cancelled."""
    (Path(folder) / f"{flow_run.id}.started").write_text(str(os.getpid()))
    get_run_logger().info("asleep")
    time.sleep(seconds)


@flow(retries=1, retry_delay_seconds=1)
def fails_once() -> str:
    """Fail in the first attempt only."""
    if flow_run.run_count == 1:
        raise ValueError("the first time")
    return f"{deployment.name} {flow_run.run_count}"
