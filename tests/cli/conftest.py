"""A shell that runs commands in this process, and a server for it to talk to."""

import contextlib
import io
import json
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.app import run_command
from penstock.cli.invocation import Invocation
from penstock.sdk.client import Client
from tests.provision import running_server

#: The command line as a process of its own.
PENSTOCK = [sys.executable, "-c", "import sys; from penstock.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Shell:
    """`shell("flow", "ls")` runs `penstock flow ls` here and returns what came out."""

    api_url: str
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *args: str, stdin: str = "", terminal: bool = False) -> Answer:
        stream = Terminal if terminal else io.StringIO
        out, err, given = stream(), stream(), stream(stdin)
        self.monkeypatch.setenv("PENSTOCK_API_URL", self.api_url)
        self.monkeypatch.setattr(sys, "stdin", given)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(args, Invocation(out=out, err=err, stdin=given))
        return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all commands; tests use names of their own."""
    if url := os.environ.get("PENSTOCK_TEST_API_URL"):
        yield url
        return
    folder: Path = tmp_path_factory.mktemp("server")
    with running_server(f"sqlite:///{folder / 'penstock.db'}", folder / "home") as url:
        yield url


@pytest.fixture
def shell(api_url: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs commands against the server."""
    monkeypatch.delenv("PENSTOCK_API_KEY", raising=False)
    monkeypatch.delenv("PENSTOCK_API_AUTH_STRING", raising=False)
    return Shell(api_url, monkeypatch)


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    """Prepares what the commands then find."""
    with Client(api_url) as client:
        yield client


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Deployed:
    """A flow with one deployment in a pool."""

    flow_id: uuid.UUID
    flow: str
    deployment_id: uuid.UUID
    name: str
    pool: str

    @property
    def path(self) -> str:
        """How one types it."""
        return f"{self.flow}/{self.name}"


@pytest.fixture
def deployed(client: Client) -> Deployed:
    """A flow deployed under names of its own."""
    pool, flow, name = unique("pool"), unique("flow"), unique("deployment")
    client.create_work_pool(pool, type="process")
    return deploy(client, flow, name, pool)


def deploy(
    client: Client, flow: str, name: str, pool: str | None = None, **fields: Any
) -> Deployed:
    """A deployment of a flow that is made if it is not there."""
    flow_id = client.create_flow(flow)
    if pool is not None:
        fields["work_pool_name"] = pool
    deployment_id = client.create_deployment(name=name, flow_id=flow_id, **fields)
    return Deployed(flow_id, flow, deployment_id, name, pool or "")


def log(flow_run_id: object, message: str, at: datetime, level: int = 20) -> dict[str, Any]:
    """A log line as a flow's process ships it."""
    return {
        "name": "penstock.flow_runs",
        "level": level,
        "message": message,
        "timestamp": at.isoformat(),
        "flow_run_id": str(flow_run_id),
    }


class Performer:
    """Plays the worker of one run."""

    def __init__(self, client: Client, flow_run_id: object) -> None:
        self.client = client
        self.flow_run_id = str(flow_run_id)

    def start(self) -> None:
        """The run is taken and runs."""
        self.enter("PENDING")
        self.enter("RUNNING")

    def enter(self, state_type: str, message: str | None = None) -> None:
        """The run's next state."""
        state = {"type": state_type, "message": message}
        answer = self.client.set_flow_run_state(self.flow_run_id, state)
        assert answer.status.value == "ACCEPT", answer

    def say(self, *messages: str, level: int = 20) -> None:
        """The flow logs, now."""
        now = datetime.now(UTC)
        self.client.create_logs(
            [
                log(self.flow_run_id, message, now + timedelta(microseconds=number), level)
                for number, message in enumerate(messages)
            ]
        )
