"""Deployments are run from another process: waited for or not, in a flow, suspended, limited."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.flow_runs import resume_flow_run, wait_for_flow_run

DEPLOYED = sys.argv[1]


def start(flow: str, **options: Any) -> FlowRun:
    return run_deployment(f"{flow}/{DEPLOYED}", timeout=0, **options)


def once(client: Any, run: FlowRun, good: Callable[[FlowRun], Any]) -> FlowRun:
    """The run as soon as it is good."""
    deadline = time.monotonic() + 80
    while not good(found := client.read_flow_run(run.id)):
        assert time.monotonic() < deadline, found.state
        time.sleep(0.2)
    return found


def ended(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def asked(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_paused()


def result(run: FlowRun) -> Any:
    assert run.state is not None
    return [run.state.type.value, run.state.result(raise_on_failure=False)]


async def waits(run: FlowRun) -> str:
    done = await wait_for_flow_run(run.id, poll_interval=1)
    assert done.state is not None
    return done.state.name


def main() -> None:
    later = datetime.now(UTC) + timedelta(days=2)
    facts: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        runs = {
            "asks": start("asks", parameters={"question": "why?"}),
            "calls": start("calls", parameters={"name": f"greet/{DEPLOYED}"}),
            "fails_once": start("fails-once"),
            "later": start("greet", scheduled_time=later),
        }
        done = run_deployment(
            f"greet/{DEPLOYED}",
            parameters={"name": "waiter", "times": 2},
            flow_run_name="waited for",
            tags=["of the call"],
            idempotency_key=f"once-{DEPLOYED}",
            job_variables={"env": {"WIRE_VARIABLE": "of the job"}},
            poll_interval=0.5,
        )
        again = start("greet", idempotency_key=f"once-{DEPLOYED}")
        facts["waited"] = [*result(done), again.id == done.id]
        runs["waited"] = done
        suspended = once(client, runs["asks"], asked)
        assert suspended.state is not None
        facts["suspended"] = [suspended.state.name, suspended.state.type.value]
        resume_flow_run(suspended.id, run_input={"value": "because"})
        for name in ("asks", "calls", "fails_once"):
            runs[name] = once(client, runs[name], ended)
        facts["asks"], facts["calls"] = result(runs["asks"]), result(runs["calls"])
        facts["waited again"] = asyncio.run(waits(runs["asks"]))
        facts["unknown"] = unknown()
    facts["ids"] = {name: str(run.id) for name, run in runs.items()}
    print(json.dumps(facts))


def unknown() -> str:
    try:
        run_deployment("greet/nothing", timeout=0)
    except Exception as error:
        return type(error).__name__
    return "found"


if __name__ == "__main__":
    main()
