"""A pool of its own for each test, deployments made from source text, and real worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from uuid import UUID, uuid4

import pytest

from penstock.contract.rest.flow_runs import FlowRun
from penstock.sdk.client import Client
from tests.provision import clean_environment, running_server

PATIENCE_SECONDS = 15.0


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests of the worker; PENSTOCK_TEST_API_URL names one that runs already."""
    given = os.environ.get("PENSTOCK_TEST_API_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("server")
    with running_server(f"sqlite:///{folder / 'penstock.db'}", folder / "home") as url:
        yield url


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    with Client(api_url) as client:
        yield client


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Returns when `holds()` is true; fails the test, saying `what` was awaited, when it is not
    in time.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > give_up_at:
            pytest.fail(f"waited {PATIENCE_SECONDS:g} s in vain for: {what}")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class WorkerProcess:
    """`python -m penstock.worker`, with what it says."""

    process: subprocess.Popen[bytes]
    stdout_file: Path
    stderr_file: Path

    @property
    def stdout(self) -> str:
        return self.stdout_file.read_text()

    @property
    def stderr(self) -> str:
        return self.stderr_file.read_text()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.stdout + self.stderr, f"{words!r} from the worker")

    def stop(self) -> int:
        """Sends SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class Ground:
    """What a test plays on."""

    client: Client
    folder: Path
    pool: str = field(default_factory=lambda: f"pool-{uuid4().hex[:8]}")
    workers: list[WorkerProcess] = field(default_factory=list)

    def work(self, *options: str) -> WorkerProcess:
        """A worker of the test's pool that waits for runs."""
        worker = self.start(*options)
        worker.wait_for("waits for runs")
        return worker

    def start(self, *options: str) -> WorkerProcess:
        """A worker of the test's pool."""
        name = f"worker-{len(self.workers)}"
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "penstock.worker", "--pool", self.pool, "--name", name]
                + list(options),
                env=clean_environment(self.folder) | {"PENSTOCK_API_URL": self.client.api_url},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        worker = WorkerProcess(process, out, err)
        self.workers.append(worker)
        return worker

    def write(self, source: str, file: str = "flows.py") -> None:
        """Writes the user's code."""
        (self.folder / file).write_text("from penstock import flow\n" + dedent(source))

    def deploy(self, source: str, **fields: object) -> UUID:
        """A deployment of the flow `main` in `source`; the pool must exist."""
        self.write(source)
        flow_id = self.client.create_flow(f"flow-{self.pool}")
        return self.client.create_deployment(
            **{
                "name": f"deployment-{uuid4().hex[:8]}",
                "flow_id": flow_id,
                "work_pool_name": self.pool,
                "path": str(self.folder),
                "entrypoint": "flows.py:main",
                **fields,
            }
        )

    def create(self, deployment_id: UUID, **fields: object) -> UUID:
        """A run of the deployment, due now."""
        return self.client.create_flow_run(
            deployment_id=deployment_id, **{"state": {"type": "SCHEDULED"}, **fields}
        )

    def await_state(self, flow_run_id: UUID, name: str) -> FlowRun:
        """The run, as soon as it is in the state of this name."""
        runs: list[FlowRun] = []

        def reached() -> bool:
            runs.append(self.client.read_flow_run(flow_run_id))
            return runs[-1].state_name == name

        try:
            wait_until(reached, f"the state {name}")
        except pytest.fail.Exception:
            said = "\n".join(worker.stderr + worker.stdout for worker in self.workers)
            pytest.fail(f"the run is {runs[-1].state_name}, not {name}; the workers said:\n{said}")
        return runs[-1]

    def read_when_written(self, file: str) -> str:
        """What the flow wrote into a file of the test's folder."""
        path = self.folder / file
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), file)
        return path.read_text().strip()


@pytest.fixture
def ground(client: Client, tmp_path: Path) -> Iterator[Ground]:
    ground = Ground(client, tmp_path)
    yield ground
    for worker in ground.workers:
        worker.process.kill()
        worker.process.wait()
