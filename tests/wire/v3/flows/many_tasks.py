"""A flow with many short tasks, for whoever wants to disturb it."""

import json
import sys
import time

from prefect import flow, task
from prefect.runtime import flow_run


@task
def step(number: int) -> int:
    time.sleep(0.05)
    return number


@flow
def many(count: int) -> list[str | int]:
    return [flow_run.id, *(step(number) for number in range(count))]


if __name__ == "__main__":
    run_id, *numbers = many(int(sys.argv[1]))
    print(json.dumps({"run": run_id, "numbers": numbers}))
