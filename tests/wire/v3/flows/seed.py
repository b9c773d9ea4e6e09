"""Something for the commands to look at."""

import json

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.system import Secret
from prefect.runtime import flow_run

IDS: dict[str, str] = {}


@task
def seeded_task() -> None:
    get_run_logger().info("from the task")


@flow
def seeded(word: str = "seed") -> None:
    IDS["run"], IDS["name"] = flow_run.id, flow_run.name
    get_run_logger().info("from the flow")
    create_markdown_artifact("# seeded", key="seeded-report")
    seeded_task()


@flow
def fails() -> None:
    IDS["failed"] = flow_run.id
    raise ValueError("on purpose")


def main() -> None:
    seeded()
    fails(return_state=True)
    Secret(value="hidden").save("seeded", overwrite=True)
    IDS["deployment"] = str(seeded.to_deployment("by-hand").apply())
    fails.to_deployment("by-hand").apply()
    print(json.dumps(IDS))


if __name__ == "__main__":
    main()
