"""Rows seen from the client's side: a worker's time to the first line, tasks, flows."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.measurement import Effort, Measurement, NotMeasured, Row, Sample, session
from bench.targets import Target, end

OVERHEAD = Path(__file__).parent / "flows" / "overhead.py"
DISPATCH_SECONDS = 60

#: the flow a worker executes: its first line takes the time
STAMP = """import os
import time

from {package} import flow

@flow
def stamp(key: str, out: str):
    at = time.time()
    path = os.path.join(out, key)
    with open(path + ".tmp", "w") as f:
        f.write(repr(at))
    os.rename(path + ".tmp", path)
"""


class _Worker:
    """A process worker of the target, and flows that it has not seen or has seen."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.pool = target.create_pool()
        self.process = target.spawn(target.worker_command(self.pool), "worker")
        self.deployment_id = ""

    def deploy_anew(self) -> None:
        """From now on run a flow in a file that no process has loaded."""
        name = f"stamp_{uuid4().hex[:8]}"
        folder = self.target.folder / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(STAMP.format(package=self.target.package))
        fields: dict[str, Any] = {
            "parameters": {},
            "parameter_openapi_schema": {"type": "object", "properties": {}},
            "enforce_parameter_schema": False,
            **self.target.code_fields(folder, f"{name}.py:stamp"),
        }
        self.deployment_id = self.target.create_deployment(self.pool, **fields)

    def first_line_ms(self) -> float:
        """Milliseconds from sending the create to the flow's first line; waits for the run's end.

        Then waits a little, so that samples do not fall in step with a poll.
        """
        api, key = self.target.api, uuid4().hex
        path = f"/deployments/{self.deployment_id}/create_flow_run"
        body = {"parameters": {"key": key, "out": str(self.target.folder)}}
        created_at = time.time()
        run = api.json(api.post(path, body))
        stamp = self.target.folder / key
        self._wait(stamp.exists)
        self._wait(
            lambda: api.json(api.get(f"/flow_runs/{run['id']}"))["state_type"] == "COMPLETED"
        )
        time.sleep(random.uniform(0.5, 1.0))
        return (float(stamp.read_text()) - created_at) * 1000

    def _wait(self, condition: Any) -> None:
        deadline = time.monotonic() + DISPATCH_SECONDS
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotMeasured(f"no run: {self.target.log_of('worker')[-500:]}")
            time.sleep(0.02)


@contextmanager
def _dispatch(target: Target, _effort: Effort) -> Iterator[Sample]:
    worker = _Worker(target)
    try:
        worker.deploy_anew()
        worker.first_line_ms()

        def sample() -> dict[str, float]:
            worker.deploy_anew()
            return {"cold": worker.first_line_ms(), "warm": worker.first_line_ms()}

        yield sample
    finally:
        end(worker.process)


def _overhead(target: Target, effort: Effort) -> dict[str, float]:
    done = subprocess.run(
        [target.python, OVERHEAD, target.package, str(effort.tasks)],
        env=target.environment(),
        cwd=target.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(done.stderr[-500:])
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


MEASUREMENTS = [
    Measurement(
        "dispatch",
        (
            Row("cold", "create -> first line, process worker, flow not seen", "p50, ms", 300, 300),
            Row("warm", "create -> first line, process worker, flow seen", "p50, ms", 100, 100),
        ),
        _dispatch,
        repeated="dispatches",
    ),
    Measurement(
        "client",
        (
            Row("task", "overhead per task, sequential, {tasks:,} recorded", "ms", 0.3, 0.3),
            Row("flow", "a trivial flow called directly", "p50, ms", 20, 20),
        ),
        session(_overhead),
    ),
]
