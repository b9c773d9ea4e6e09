"""The unmodified client as real processes: scripts that print facts, commands, long-lived ones."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

FLOWS = Path(__file__).with_name("flows")
T = TypeVar("T")
Json = Any


def until(
    read: Callable[[], T], good: Callable[[T], object] = bool, timeout_seconds: float = 30
) -> T:
    """What `read` gives as soon as it is good; an AssertionError with the last one otherwise."""
    deadline = time.monotonic() + timeout_seconds
    while not good(value := read()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {value!r}"
        time.sleep(0.1)
    return value


class Rest:
    """What the server holds, asked directly."""

    def __init__(self, api_url: str) -> None:
        self._http = httpx.Client(base_url=api_url, timeout=30)

    def get(self, path: str, **params: Any) -> Json:
        """The answer to a GET; an AssertionError for anything but success."""
        return self._read(self._http.get(path, params=params))

    def post(self, path: str, body: Json = None) -> Json:
        """The answer to a POST; an AssertionError for anything but success."""
        return self._read(self._http.post(path, json=body if body is not None else {}))

    def patch(self, path: str, body: Json) -> None:
        """Change something."""
        self._read(self._http.patch(path, json=body))

    def _read(self, answer: httpx.Response) -> Json:
        assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def run(self, run_id: str) -> Json:
        """A flow run."""
        return self.get(f"/flow_runs/{run_id}")

    def runs(self, **filters: Json) -> list[Json]:
        """The flow runs that pass, the oldest first."""
        found: list[Json] = self.post("/flow_runs/filter", {"flow_runs": filters})
        return sorted(found, key=lambda run: run["created"])

    def state_names(self, run_id: str) -> list[str]:
        """The names of a flow run's states, the oldest first."""
        return [s["name"] for s in self.get("/flow_run_states/", flow_run_id=run_id)]

    def task_state_names(self, task_run_id: str) -> list[str]:
        """The names of a task run's states, the oldest first."""
        return [s["name"] for s in self.get("/task_run_states/", task_run_id=task_run_id)]

    def task_runs(self, run_id: str, count: int) -> list[Json]:
        """The ended task runs of a flow run once there are so many, in order of their start.

        The client reports them by websocket: they are told apart from its other answers.
        """

        def ended() -> list[Json]:
            body = {"flow_runs": {"id": {"any_": [run_id]}}}
            runs: list[Json] = self.post("/task_runs/filter", body)
            return [r for r in runs if r["end_time"]]

        found = until(ended, lambda runs: len(runs) >= count)
        assert len(found) == count, [r["name"] for r in found]
        return sorted(found, key=lambda run: run["start_time"])

    def ended(self, run_id: str, timeout_seconds: float = 60) -> Json:
        """A flow run once it has ended."""
        return until(
            lambda: self.run(run_id), lambda run: run["end_time"], timeout_seconds=timeout_seconds
        )

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()


@dataclass
class Running:
    """A process of the client that goes on until it is stopped."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        """Keep what it says, until it ends."""
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self.lines.append("")
            self._news.notify_all()

    @property
    def said(self) -> str:
        """Everything it has said so far."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout_seconds: float = 60) -> str:
        """The first line that holds the pattern."""
        deadline = time.monotonic() + timeout_seconds
        seen = 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                gone = self.process.poll() is not None and self.lines[-1:] == [""]
                if left < 0 or gone:
                    raise AssertionError(f"never said {pattern!r}:\n{self.said[-4000:]}")
                self._news.wait(min(left, 1))


@dataclass(frozen=True)
class Answer:
    """What a finished process left behind."""

    code: int
    out: str
    err: str


@dataclass
class PrefectClient:
    """The client's environment for one test: its own home, our server's address."""

    python: Path
    api_url: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of its processes: nothing of this process's own settings."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PREFECT_", "PENSTOCK_", "PYTHON"))
        }
        self.home.mkdir(parents=True, exist_ok=True)
        return {
            **kept,
            "PATH": f"{self.python.parent}{os.pathsep}{kept['PATH']}",
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_CLI_WRAP_LINES": "false",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": "250",
            **self.settings,
            **more,
        }

    def run(
        self, *command: str, timeout_seconds: float = 90, cwd: Path | None = None, **env: str
    ) -> Answer:
        """Run one process of the client to its end."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [str(self.python), *command],
            env=self.environment(**env),
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def facts(self, script: str, *args: str, **options: Any) -> Json:
        """What a script of `flows/` found out: the JSON of its last line."""
        done = self.run(str(FLOWS / script), *args, **options)
        assert done.code == 0, f"{script} ended with {done.code}:\n{done.out}\n{done.err[-6000:]}"
        return json.loads(done.out.splitlines()[-1])

    def command(self, *args: str, code: int = 0, **options: Any) -> str:
        """What `prefect ARGS` said; an AssertionError when it ends with another code."""
        done = self.run("-m", "prefect", *args, **options)
        said = done.out + done.err
        assert done.code == code, f"prefect {' '.join(args)} ended with {done.code}:\n{said}"
        return said

    @contextmanager
    def running(self, *command: str, ready: str, cwd: Path | None = None) -> Iterator[Running]:
        """A process that has said `ready` (a pattern); interrupted when the block ends."""
        process = subprocess.Popen(
            [str(self.python), *command],
            env=self.environment(),
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running = Running(process)
        reader = threading.Thread(target=running.read, daemon=True)
        reader.start()
        try:
            running.wait_for(ready)
            yield running
        finally:
            _stop(process)
            reader.join(10)

    @contextmanager
    def shell(self, cwd: Path | None = None) -> Iterator["Shell"]:
        """Something that runs one `prefect` command after the other."""
        process = subprocess.Popen(
            [str(self.python), str(FLOWS / "shell.py")],
            env=self.environment(),
            cwd=cwd or self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Shell(process)
        finally:
            process.communicate(timeout=20)


@dataclass
class Shell:
    """`shell("flow", "ls")` is what `prefect flow ls` says."""

    process: "subprocess.Popen[str]"

    def __call__(self, *args: str, code: int = 0) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(args) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        said: str = answer["out"]
        assert answer["code"] == code, f"prefect {' '.join(args)}: {answer['code']}\n{said}"
        return said

    def json(self, *args: str) -> Json:
        """What a command says in JSON."""
        return json.loads(self(*args, "--output", "json"))


def _stop(process: "subprocess.Popen[str]") -> None:
    """Interrupt it as Ctrl-C does; its whole group is killed when that does not help."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    finally:
        # Flow runs that it had started are in its session, not in ours.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
