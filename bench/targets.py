"""The servers that are compared: ours on either database, and the peer. Real processes, loopback.

The peer is Prefect 3, found by PENSTOCK_BENCH_PEER (the path of its virtual environment). It runs
on the machine's own PostgreSQL, where it does not answer 503 to clients that write at the same
time; on SQLite where the machine has none. What it puts off goes on for minutes after a load; so
its processes stand still (SIGSTOP) while others are measured.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from bench.bodies import JOB_TEMPLATE, PARAMETER_SCHEMA
from bench.loadgen import Api
from bench.postgres import Postgres
from bench.procstat import cpu_seconds, resident_mb

START_SECONDS = 120


class Target:
    """One server on one database, and how to reach, restart and look into it."""

    #: which column it fills: sqlite, postgres or peer
    name: str
    #: the package its flows import, and where its commands are
    package = "penstock"
    bin = Path(sys.executable).parent

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=folder))
        self.database_url = database_url
        self.process: subprocess.Popen[bytes] | None = None
        self.api = Api("http://127.0.0.1:0/api")
        self.deployment_id = self.pool = ""
        self.url = ""
        #: which large tables it has
        self.seeded: set[str] = set()

    def fresh(self) -> "Target":
        """The same kind of server on a new, empty database."""
        raise NotImplementedError

    # ------------------------------------------------------------------ the server's process
    def command(self, port: int) -> list[str]:
        """The command that serves."""
        words = [str(self.bin / "penstock"), "server", "start", "--host", "127.0.0.1"]
        return [*words, "--port", str(port), "--database", self.database_url]

    def environment(self) -> dict[str, str]:
        """The environment of its server and of its clients."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PREFECT_"))}
        return kept | {"PENSTOCK_HOME": str(self.folder), "PENSTOCK_API_URL": self.url}

    def start(self) -> float:
        """Start it; the seconds until it is ready."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        self.api = Api(self.url)
        began = time.perf_counter()
        self.process = self.spawn(self.command(port), "server")
        while not self._is_ready():
            if self.process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.log_of('server')[-3000:]}")
            time.sleep(0.005)
        return time.perf_counter() - began

    def _is_ready(self) -> bool:
        try:
            return self.api.call(self.api.get("/ready"))[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End it, with all that it started."""
        if self.process is not None:
            end(self.process)
            self.process = None

    def spawn(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        """A process in a group of its own, in this target's environment and folder."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log_of(self, name: str) -> str:
        """What a spawned process has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Measure it inside the block."""
        yield

    def cpu_seconds(self) -> float:
        """What the server's processes (not the database's) have used of the processor."""
        assert self.process is not None
        return cpu_seconds(self.process.pid)

    def resident_mb(self) -> float:
        """Memory of the server's processes (not the database's), in MiB."""
        assert self.process is not None
        return resident_mb(self.process.pid)

    # ------------------------------------------------------------------ what is in it
    def prepare(self) -> None:
        """Make the flow, the pool and the deployment that most rows use."""
        self.pool = self.create_pool()
        self.deployment_id = self.create_deployment(self.pool)

    def create_pool(self) -> str:
        """The name of a new process pool."""
        name = f"pool-{uuid4().hex[:8]}"
        body = {"name": name, "type": "process", "base_job_template": JOB_TEMPLATE}
        self.api.json(self.api.post("/work_pools/", body))
        return name

    def create_deployment(self, pool: str, **fields: object) -> str:
        """The id of a new deployment of a new flow; its parameters are checked by a schema."""
        name = f"bench-{uuid4().hex[:8]}"
        flow = self.api.json(self.api.post("/flows/", {"name": name}))
        body = {
            "name": name,
            "flow_id": flow["id"],
            "work_pool_name": pool,
            "tags": ["bench"],
            "parameters": {"options": {}},
            "parameter_openapi_schema": PARAMETER_SCHEMA,
            "enforce_parameter_schema": True,
            "entrypoint": "flow.py:f",
            "path": ".",
        }
        made = self.api.json(self.api.post("/deployments/", body | fields))
        return str(made["id"])

    # ------------------------------------------------------------------ its client side
    @property
    def python(self) -> Path:
        """The interpreter that has its package."""
        return self.bin / "python"

    def worker_command(self, pool: str) -> list[str]:
        """The command that executes a pool's runs in processes."""
        return [str(self.bin / "penstock"), "worker", "start", "--pool", pool]

    def code_fields(self, folder: Path, entrypoint: str) -> dict[str, object]:
        """Where a worker finds a deployment's code."""
        return {"path": str(folder), "entrypoint": entrypoint}


class Sqlite(Target):
    """Ours, on the embedded database."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "")
        self.database_url = f"sqlite:///{self.folder / 'penstock.db'}"

    def fresh(self) -> Target:
        return Sqlite(self.folder)


class OnPostgres(Target):
    """Ours, on PostgreSQL: one server process."""

    name = "postgres"

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        super().__init__(folder, postgres.create_database())
        self._postgres = postgres

    def fresh(self) -> Target:
        return OnPostgres(self.folder, self._postgres)


class Peer(Target):
    """Prefect 3 with its defaults but for telemetry; on SQLite when there is no PostgreSQL."""

    name = "peer"
    package = "prefect"

    def __init__(self, folder: Path, postgres: Postgres | None, venv: Path) -> None:
        self.bin = venv / "bin"
        super().__init__(folder, postgres.create_database() if postgres else "")
        if not postgres:
            self.database_url = f"sqlite:///{self.folder / 'prefect.db'}"
        self._postgres = postgres

    def fresh(self) -> Target:
        return Peer(self.folder, self._postgres, self.bin.parent)

    def command(self, port: int) -> list[str]:
        words = [str(self.bin / "prefect"), "server", "start", "--host", "127.0.0.1"]
        return [*words, "--port", str(port)]

    def environment(self) -> dict[str, str]:
        url = self.database_url.replace("postgresql:", "postgresql+asyncpg:")
        url = url.replace("sqlite:", "sqlite+aiosqlite:")
        ours = super().environment()
        return {k: v for k, v in ours.items() if not k.startswith("PENSTOCK_")} | {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": self.url,
            "PREFECT_API_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "WARNING",
        }

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let it go on for as long as it is measured."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # a server that did not start
                os.killpg(self.process.pid, number)

    def stop(self) -> None:
        self._signal(signal.SIGCONT)
        super().stop()

    def worker_command(self, pool: str) -> list[str]:
        return [str(self.bin / "prefect"), "worker", "start", "--type", "process", "--pool", pool]

    def code_fields(self, folder: Path, entrypoint: str) -> dict[str, object]:
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}
        return {"pull_steps": [step], "entrypoint": entrypoint, "path": None}


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here and its group: asked first, killed after 15 s."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
