"""Whatever is sent, the server never fails: requests made up from our own OpenAPI description."""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case

from tests.conftest import sqlite_url
from tests.provision import ServerProcess

#: made-up requests per operation; `PENSTOCK_FUZZ=200` for a long look
EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ", "6"))
MAX_SECONDS = 170


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server on SQLite, with one of everything in it."""
    folder = tmp_path_factory.mktemp("fuzz")
    with ServerProcess(sqlite_url(folder), folder / "home", "--no-services") as server:
        yield server


def lay_out(url: str) -> dict[str, str]:
    """One of everything, and the id of each by the first part of its path."""

    def post(path: str, body: Any) -> Any:
        answer = httpx.post(f"{url}{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    post("/work_pools/", {"name": "p", "type": "process"})
    flow = post("/flows/", {"name": "hello"})
    body = {"name": "d", "flow_id": flow["id"], "work_pool_name": "p",
            "schedules": [{"schedule": {"cron": "0 9 * * *"}}]}  # fmt: skip
    deployment = post("/deployments/", body)
    run = post(f"/deployments/{deployment['id']}/create_flow_run", {})
    block_type = post("/block_types/", {"name": "B", "slug": "b"})
    schema = post("/block_schemas/", {"block_type_id": block_type["id"]})
    body = {"name": "b", "block_type_id": block_type["id"], "block_schema_id": schema["id"]}
    block = post("/block_documents/", body)
    task = post("/task_runs/", {"task_key": "k", "dynamic_key": "0", "flow_run_id": run["id"]})
    return {
        "task_runs": task["id"],
        "flows": flow["id"],
        "deployments": deployment["id"],
        "flow_runs": run["id"],
        "flow_run_states": run["state_id"],
        "work_queues": run["work_queue_id"],
        "block_types": block_type["id"],
        "block_schemas": schema["id"],
        "block_documents": block["id"],
    }


def spare(case: Case, known: dict[str, str]) -> None:
    """Have most requests meet something that is there."""
    parameters = case.path_parameters or {}
    if "id" in parameters and case.method != "DELETE":
        parameters["id"] = known.get(case.path.split("/")[2], parameters["id"])
    if "name" in parameters and case.method != "DELETE" and "work_pools" in case.path:
        parameters["name"] = "p"
    if "work_pool_name" in parameters:
        parameters["work_pool_name"] = "p"


@pytest.mark.timeout(MAX_SECONDS + 10)  # some hundred requests, and the time to make them up
def test_nothing_that_is_sent_makes_the_server_fail(server: ServerProcess) -> None:
    root = server.url.removesuffix("/api")
    known = lay_out(server.url)
    schema = schemathesis.openapi.from_dict(
        httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    )
    session = requests.Session()
    failures: list[str] = []
    statuses: set[int] = set()
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:

        @seed(20261121)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Case) -> None:
            spare(case, known)
            answer = case.call(base_url=root, session=session, timeout=40)
            statuses.add(answer.status_code)
            says_not_yet = answer.status_code == 501 and case.path == "/api/automations/"
            busy = answer.status_code == 503 and "Retry-After" in answer.headers
            if answer.status_code >= 500 and not busy and not says_not_yet:
                failures.append(f"{answer.status_code} {case.as_curl_command()}")

        send()
    log = server.log.read_text()
    assert failures == [], f"{chr(10).join(failures[:10])}\n{log[-6000:]}"
    assert {200, 201, 204, 404, 422} <= statuses
    assert "Traceback" not in log, log[-6000:]
    assert httpx.get(f"{server.url}/ready").status_code == 200
