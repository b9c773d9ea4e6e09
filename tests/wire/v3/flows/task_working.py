"""Background tasks: `task_working.py serve` works on them, without arguments they are called."""

import asyncio
import json
import sys
from typing import Any

from prefect import flow, task
from prefect.futures import wait
from prefect.task_worker import serve


@task(persist_result=True)
def double(number: int) -> int:
    return number * 2


@task(persist_result=True)
async def soon(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


@task(retries=1, retry_delay_seconds=0.2)
def flaky(number: int) -> int:
    from prefect.context import TaskRunContext

    context = TaskRunContext.get()
    assert context is not None
    if context.task_run.run_count < 2:
        raise ValueError("not yet")
    return number


@task
def broken() -> None:
    raise ValueError("on purpose")


@flow
def in_a_flow() -> int:
    future = double.delay(20)
    future.wait(timeout=60)
    return int(future.result())


async def async_calls() -> int:
    future = soon.delay(1)
    await future.wait_async(timeout=60)
    return int(await future.result_async())


def main() -> None:
    numbers = [double.delay(number) for number in range(5)]
    mapped = soon.map([10, 20], deferred=True)
    retried, failed = flaky.delay(7), broken.delay()
    done, pending = wait([*numbers, *mapped, retried, failed], timeout=80)
    facts: dict[str, Any] = {
        "done": [len(done), len(pending)],
        "numbers": [future.result() for future in numbers],
        "mapped": [future.result() for future in mapped],
        "retried": retried.result(raise_on_failure=False),
        "failed": failed.state.type.value,
        "flow": in_a_flow(),
        "async": asyncio.run(async_calls()),
        "ids": {
            "numbers": [str(future.task_run_id) for future in numbers],
            "retried": str(retried.task_run_id),
            "failed": str(failed.task_run_id),
        },
    }
    print(json.dumps(facts))


def call_soon() -> None:
    print(json.dumps({"soon": soon.delay(41).result(timeout=60)}))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve(double, soon, flaky, broken)
    elif sys.argv[1:] == ["soon"]:
        call_soon()
    else:
        main()
