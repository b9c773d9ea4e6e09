"""Flows and tasks, sync and async: calls, futures, map, subflows, what the runtime knows."""

import asyncio
import json
from typing import Any

from prefect import allow_failure, flow, tags, task, unmapped
from prefect.futures import as_completed, wait
from prefect.runtime import flow_run, task_run

IDS: dict[str, str] = {}


def remember(name: str) -> None:
    IDS[name] = flow_run.id


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task(name="named", task_run_name="named-{a}", tags=["slow"])
def renamed(a: int) -> dict[str, Any]:
    return {"name": task_run.name, "tags": sorted(task_run.tags), "parameters": task_run.parameters}


@task
async def add_soon(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@task
def broken() -> None:
    raise ValueError("on purpose")


@flow(flow_run_name="grandchild-of-{depth}", description="the deepest")
def grandchild(depth: int) -> int:
    remember("grandchild")
    return add(depth)


@flow
def child(depth: int) -> int:
    remember("child")
    return grandchild(depth + 1)


@flow
async def async_child(word: str) -> str:
    remember("async_child")
    return f"{word} {await add_soon(1, 1)}"


@flow(log_prints=True, version="7", retries=0)
def everything(word: str = "default") -> dict[str, Any]:
    remember("everything")
    print(f"hello from {word}")
    first = add.submit(1)
    second = add.submit(first, b=10)
    waited = add.submit(100, wait_for=[second])
    mapped = add.map([1, 2, 3], b=unmapped(5))
    pairs = add.map([1, 2], [10, 20])
    failed = broken.submit()
    after = add.submit(5, wait_for=[allow_failure(failed)])
    done = wait([first, second])
    with tags("inherited"):
        named = renamed(4)
    return {
        "futures": [first.result(), second.result(), waited.result(), after.result()],
        "mapped": mapped.result(),
        "pairs": sorted(f.result() for f in as_completed(list(pairs))),
        "failed": failed.state.type.value,
        "waited": [len(done.done), len(done.not_done)],
        "named": named,
        "subflow": child(0),
        "runtime": [flow_run.name, flow_run.flow_name, flow_run.parameters, flow_run.run_count],
    }


@flow(name="async everything")
async def async_everything(numbers: list[int]) -> dict[str, Any]:
    remember("async_everything")
    futures = [add_soon.submit(number, 1) for number in numbers]
    gathered = await asyncio.gather(*(add_soon(number, 2) for number in numbers))
    return {
        "futures": [future.result() for future in futures],
        "gathered": gathered,
        "mapped": add_soon.map(numbers, 3).result(),
        "child": await async_child("soon"),
        "sync task": add(1),
    }


@flow
def generator(count: int):
    yield from range(count)


def main() -> None:
    with tags("of the call"):
        facts: dict[str, Any] = {"sync": everything("here")}
    facts["async"] = asyncio.run(async_everything([1, 2]))
    facts["generator"] = list(generator(3))
    facts["task alone"] = add(40, 2)
    facts["ids"] = IDS
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
