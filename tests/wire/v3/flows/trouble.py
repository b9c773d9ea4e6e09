"""What goes wrong: failures, retries and their delays, time-outs, states returned and raised."""

import asyncio
import json
import time
from typing import Any

from prefect import flow, task
from prefect.context import FlowRunContext, TaskRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

IDS: dict[str, str] = {}
CALLS: dict[str, list[float]] = {}
HOOKS: list[str] = []


def called(name: str) -> int:
    """Note the call; how many there were."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        IDS.setdefault(name, str(context.flow_run.id))
    CALLS.setdefault(name, []).append(time.monotonic())
    return len(CALLS[name])


def hook(flow: Any, run: Any, state: Any) -> None:
    HOOKS.append(f"{flow.name} {state.name}")


@task(retries=2, retry_delay_seconds=[0.3, 0.1], on_failure=[hook], on_completion=[hook])
def flaky_task() -> int:
    if called("flaky_task") < 3:
        raise ValueError("not yet")
    context = TaskRunContext.get()
    assert context is not None
    return context.task_run.run_count


@task(retries=3, retry_condition_fn=lambda task, run, state: False)
def never_again() -> None:
    called("never_again")
    raise ValueError("no")


@task(timeout_seconds=0.2)
async def slow_task() -> None:
    await asyncio.sleep(30)


@flow
async def task_troubles() -> dict[str, Any]:
    IDS["task_troubles"] = flow_run.id
    once = never_again.submit()
    once.wait()
    slow = await slow_task(return_state=True)
    return {
        "flaky": flaky_task(),
        "never again": [once.state.name, len(CALLS["never_again"])],
        "slow": [slow.type.value, slow.name],
    }


@flow(retries=2, retry_delay_seconds=1, on_failure=[hook], on_completion=[hook])
def flaky_flow() -> int:
    if called("flaky_flow") < 3:
        raise ValueError("not yet")
    return flow_run.run_count


@flow(retries=1, on_failure=[hook])
def hopeless() -> None:
    called("hopeless")
    raise KeyError("always")


@flow(timeout_seconds=0.3)
async def too_slow() -> None:
    called("too_slow")
    await asyncio.sleep(30)


@flow
def returns_a_state(kind: str) -> Any:
    called(f"returns {kind}")
    if kind == "renamed":
        return Completed(name="Renamed", message="all is well")
    return Failed(message="not well") if kind == "failed" else Cancelled(message="no more")


@flow
def crashes() -> None:
    called("crashes")
    raise KeyboardInterrupt


@flow(validate_parameters=True)
def wants_a_number(number: int) -> int:
    return number


def described(state: Any) -> list[Any]:
    return [state.type.value, state.name, state.message]


def main() -> None:
    facts: dict[str, Any] = {"tasks": asyncio.run(task_troubles())}
    facts["flaky_flow"] = flaky_flow()
    pauses = [b - a for a, b in zip(CALLS["flaky_flow"], CALLS["flaky_flow"][1:], strict=False)]
    facts["flow pauses"] = [round(pause, 3) for pause in pauses]
    facts["hopeless"] = described(hopeless(return_state=True))
    facts["too_slow"] = described(asyncio.run(too_slow(return_state=True)))
    for kind in ("renamed", "failed", "cancelled"):
        facts[kind] = described(returns_a_state(kind, return_state=True))
    try:
        crashes()
    except KeyboardInterrupt:
        facts["crash"] = "came through"
    facts["bad parameter"] = described(wants_a_number("x", return_state=True))[:2]
    facts["ids"], facts["hooks"] = IDS, HOOKS
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
