"""What runs use beside themselves: variables, artifacts, blocks, logs."""

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import (
    Artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.sorting import LogSort
from prefect.runtime import flow_run
from prefect.variables import Variable
from pydantic import SecretStr

IDS: dict[str, str] = {}


class JSON(Block):
    """Any JSON, as a block type that the client makes itself."""

    value: Any


class Login(Block):
    user: str
    password: SecretStr


class Service(Block):
    """A block inside a block."""

    login: Login
    url: str = "http://localhost"


def variables() -> dict[str, Any]:
    Variable.set("wire_list", [1, {"two": 2}], tags=["a", "b"])
    Variable.set("wire_text", "first")
    try:
        Variable.set("wire_text", "second")
    except ValueError:
        refused = "ValueError"
    Variable.set("wire_text", "third", overwrite=True)
    found = [Variable.get("wire_list"), Variable.get("wire_text"), Variable.get("wire_no", "none")]
    Variable.set("wire_gone", 1)
    return {"found": found, "refused": refused, "gone": [Variable.unset("wire_gone")] * 1}


@task
def from_a_task() -> str:
    return str(create_markdown_artifact("# of a task", key="wire-report"))


@flow
def artifacts() -> dict[str, Any]:
    IDS["artifacts"] = flow_run.id
    create_markdown_artifact("# first", key="wire-report", description="a report")
    create_link_artifact("http://example.com", link_text="here", key="wire-link")
    create_table_artifact([{"a": 1, "b": "x"}], key="wire-table")
    create_image_artifact("http://example.com/a.png", key="wire-image")
    progress = create_progress_artifact(10.0, key="wire-progress")
    update_progress_artifact(progress, 80.0)
    IDS["last report"] = from_a_task()
    create_markdown_artifact("without a key")
    latest = Artifact.get("wire-report")
    assert latest is not None
    return {
        "latest": [latest.data, str(latest.id) == IDS["last report"]],
        "progress": getattr(Artifact.get("wire-progress"), "data", None),
        "none": Artifact.get("wire-nothing"),
        "made": Artifact.get_or_create(key="wire-report", data="unused", type="markdown")[1],
    }


def blocks() -> dict[str, Any]:
    Secret(value="sesame").save("wire-secret")
    try:
        Secret(value="other").save("wire-secret")
    except ValueError as error:
        refused = "already in use" in str(error)
    Secret(value="open sesame").save("wire-secret", overwrite=True)
    Secret(value={"user": "me"}).save("wire-secret-json")
    JSON(value={"deep": [1, None, "ü"]}).save("wire-json")
    Login(user="me", password="hidden").save("wire-login")
    Service(login=Login.load("wire-login")).save("wire-service")
    service = Block.load("service/wire-service")
    Login(user="x", password="y").save("wire-gone")
    Login.delete("wire-gone")
    try:
        Login.load("wire-gone")
    except ValueError:
        gone = True
    return {
        "refused": refused,
        "secret": Secret.load("wire-secret").get(),
        "secret json": Secret.load("wire-secret-json").get(),
        "json": JSON.load("wire-json").value,
        "service": [service.login.user, service.login.password.get_secret_value(), service.url],
        "gone": gone,
    }


async def async_blocks() -> str:
    loaded = await Secret.load("wire-secret")
    return str(loaded.get())


@task
def logs_in_a_task() -> None:
    get_run_logger().error("from the task")


@flow(log_prints=True)
def logs() -> None:
    IDS["logs"] = flow_run.id
    logger = get_run_logger()
    logger.debug("too quiet")
    logger.info("from the flow")
    logger.warning("with %s", "arguments")
    print("printed")
    logs_in_a_task()


def read_logs(run_id: str) -> list[list[Any]]:
    """Waits until the logs are there, as they are sent in batches."""
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run_id)]))
    with get_client(sync_client=True) as client:
        found = client.read_logs(chosen, sort=LogSort.TIMESTAMP_ASC)
    return [[log.level, log.name, log.message] for log in found]


def main() -> None:
    facts: dict[str, Any] = {"variables": variables(), "artifacts": artifacts(), "blocks": blocks()}
    facts["async secret"] = asyncio.run(async_blocks())
    logs()
    facts["ids"] = IDS
    print(json.dumps(facts))


if __name__ == "__main__":
    print(json.dumps(read_logs(sys.argv[2]))) if sys.argv[1:2] == ["logs"] else main()
