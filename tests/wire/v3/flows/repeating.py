"""Calls whose answers may get lost on the way."""

import json
import sys
from typing import Any

from prefect import flow, get_client, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.system import Secret
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from prefect.variables import Variable

IDS: dict[str, str] = {}


@task
def step() -> int:
    return 1


@flow
def child() -> int:
    IDS["child"] = flow_run.id
    return step()


@flow(retries=1)
def repeats() -> int:
    IDS["run"] = flow_run.id
    if flow_run.run_count == 1:
        raise ValueError("once more")
    create_markdown_artifact("# once", key="repeated")
    return child() + step()


def main() -> None:
    facts: dict[str, Any] = {"result": repeats()}
    facts["deployment"] = str(repeats.to_deployment("lost").apply())
    made = run_deployment("repeats/lost", timeout=0, idempotency_key="only-one")
    again = run_deployment("repeats/lost", timeout=0, idempotency_key="only-one")
    facts["same"] = made.id == again.id
    Variable.set("repeated", 1, overwrite=True)
    Secret(value="once").save("repeated", overwrite=True)
    with get_client(sync_client=True) as client:
        client.create_concurrency_limit("repeated", 1)
    facts["ids"] = IDS
    print(json.dumps(facts))


if __name__ == "__main__":
    sys.exit(main())
