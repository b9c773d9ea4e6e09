"""Schemas that are really slow to validate: answered in bounded time, and nobody else waits."""

import asyncio
import os
import select
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.operations import flow_runs, slow_validation
from tests.api.calls import Api, Json
from tests.core.test_schema_costs import doubling
from tests.provision import ServerProcess

pytestmark = pytest.mark.anyio
#: some 2^24 ways to refuse one value: hours
ENDLESS = doubling(24)
ALTERNATIVES = [{"type": "object", "properties": {"a": {"const": i}}} for i in range(200)]
#: acceptable, half a second
HEAVY = {"type": "object", "properties": {"x": {"items": {"anyOf": ALTERNATIVES}}}}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released each time a process to validate in is about to be started."""
    starts = threading.Semaphore(0)
    run = subprocess.run

    def noted(*args: Any, **options: Any) -> Any:
        starts.release()
        return run(*args, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    return starts


async def deploy(api: Api, name: str, schema: Json, **fields: Json) -> str:
    """The path that creates runs of a new deployment with this schema."""
    body = {"name": name, "flow_id": await api.make_flow(), "parameter_openapi_schema": schema}
    deployment = await api.post("/deployments/", body | fields)
    return f"/deployments/{deployment['id']}/create_flow_run"


async def test_a_hundred_creates_are_answered_while_a_slow_schema_is_validated(
    api: Api, started: threading.Semaphore
) -> None:
    slow, quick = await deploy(api, "slow", ENDLESS), await deploy(api, "quick", {})
    while started.acquire(blocking=False):
        pass
    body = {"parameters": {"x": 1}}
    waiting = asyncio.create_task(api.call("POST", slow, body))
    assert await asyncio.to_thread(started.acquire, timeout=10)
    await asyncio.gather(*[api.post(quick) for _ in range(100)])
    assert not waiting.done()
    answer = await waiting
    assert answer.status_code == 409
    assert "Invalid parameters" in answer.text
    assert "takes more than 5 s" in answer.text


async def test_heavy_but_acceptable_parameters_are_accepted(
    api: Api, started: threading.Semaphore
) -> None:
    path = await deploy(api, "heavy", HEAVY)
    parameters = {"x": [{"a": 199}] * 5000}
    assert (await api.post(path, {"parameters": parameters}))["parameters"] == parameters
    assert started.acquire(blocking=False)
    wrong = await api.call("POST", path, {"parameters": {"x": [*parameters["x"], {"a": 200}]}})
    assert wrong.status_code == 409
    assert "x.5000: " in wrong.text


async def test_slow_job_variables_are_refused_by_name(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = {"job_configuration": {"command": "{{ x }}"}, "variables": ENDLESS}
    await api.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": template})
    path = await deploy(api, "d", {}, work_pool_name="p")
    monkeypatch.setattr(slow_validation, "SECONDS", 1.0)
    answer = await api.call("POST", path, {"job_variables": {"x": 1}})
    assert answer.status_code == 422
    assert "job_variables" in answer.text
    assert "takes more than 1 s" in answer.text


async def test_a_third_slow_one_is_told_to_come_again(
    api: Api, started: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = await deploy(api, "slow", ENDLESS), await deploy(api, "quick", {})
    while started.acquire(blocking=False):
        pass
    monkeypatch.setattr(slow_validation, "SECONDS", 3.0)
    body = {"parameters": {"x": 1}}
    two = [asyncio.create_task(api.call("POST", slow, body)) for _ in range(2)]
    for _ in two:
        assert await asyncio.to_thread(started.acquire, timeout=10)
    third = await api.call("POST", slow, body)
    await api.post(quick)
    assert not any(task.done() for task in two)
    assert third.status_code == 503
    assert int(third.headers["Retry-After"]) >= 1
    assert [answer.status_code for answer in await asyncio.gather(*two)] == [409, 409]


async def test_a_bulk_of_slow_ones_takes_bounded_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await deploy(api, "slow", ENDLESS)
    monkeypatch.setattr(slow_validation, "SECONDS", 1.0)
    monkeypatch.setattr(flow_runs, "BULK_SECONDS", 0.5)
    results = (await api.post(f"{path}/bulk", [{"parameters": {"x": 1}}] * 100))["results"]
    assert [result["status"] for result in results] == ["FAILED"] * 100
    assert "takes more than 1 s" in results[0]["error"]
    assert all("send fewer" in result["error"] for result in results[1:])


async def test_a_schema_that_is_slow_to_compile_is_refused_when_it_is_none(
    api: Api, started: threading.Semaphore
) -> None:
    properties: dict[str, Json] = {f"p{i}": {"minLength": 1} for i in range(10_000)}
    path = await deploy(api, "big", {"properties": properties})
    assert started.acquire(blocking=False)
    refused = await api.call("POST", path, {"parameters": {"p1": ""}})
    assert refused.status_code == 409
    assert "p1: " in refused.text
    properties["last"] = {"type": "thing"}
    body: Json = {"name": "d", "flow_id": await api.make_flow("other")}
    body["parameter_openapi_schema"] = {"properties": properties}
    answer = await api.call("POST", "/deployments/", body)
    assert answer.status_code == 422
    assert "parameter_openapi_schema" in answer.text


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def busy_child(pid: int) -> int | None:
    """The process this one has started that has used half a second of CPU: it is validating."""
    for child in children(pid):
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[11]) >= os.sysconf("SC_CLK_TCK") / 2:
            return child
    return None


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_process_apart_is_gone_after_the_server(
    database_url: str, tmp_path: Path, end: str
) -> None:
    with (
        ServerProcess(database_url, tmp_path / "home") as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        flow = client.post("/flows/", json={"name": "f"}).json()["id"]
        body = {"name": "d", "flow_id": flow, "parameter_openapi_schema": ENDLESS}
        deployment = client.post("/deployments/", json=body).json()["id"]
        path = f"/deployments/{deployment}/create_flow_run"
        waiting = threads.submit(client.post, path, json={"parameters": {"x": 1}})
        while (process := busy_child(server.process.pid)) is None:
            assert not waiting.done()
            time.sleep(0.02)  # nothing tells how much CPU another process has used
        descriptor = os.pidfd_open(process)
        try:
            assert server.process.poll() is None
            getattr(server, end)()
            readable, _, _ = select.select([descriptor], [], [], 12)
            assert readable
        finally:
            os.close(descriptor)
        waiting.exception()
