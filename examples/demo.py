"""`make demo`: a server, a worker, and a flow on real data, from deployment to result.

Everything lives in a temporary folder and ends with this process. Exit code 0 only when the run
is COMPLETED.
"""

import csv
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO
from uuid import UUID

HERE = Path(__file__).parent
PENSTOCK = Path(sys.executable).with_name("penstock")
FIRST_LINE = "Reading prices of"


class Demo:
    """The demo's processes and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.env["PENSTOCK_HOME"] = str(folder / "home")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str, stdout: int | IO[str]) -> subprocess.Popen[str]:
        """Start `penstock …` in the background."""
        _show(*words, background=True)
        with self.log(words[0]).open("w") as log:
            process = subprocess.Popen(
                [PENSTOCK, *words],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                text=True,
            )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> int:
        """Run `penstock …` in the foreground; its exit code."""
        _show(*words)
        return subprocess.run([PENSTOCK, *words], env=self.env, check=False).returncode

    def log(self, name: str) -> Path:
        """Where a background process writes."""
        return self.folder / f"{name}.log"

    def stop(self) -> None:
        """End what was started, the last first."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def main() -> int:
    """Run the demo; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as name:
        demo = Demo(Path(name))
        try:
            return _play(demo)
        finally:
            demo.stop()


def _play(demo: Demo) -> int:
    database = f"sqlite:///{demo.folder / 'penstock.db'}"
    server = demo.start(
        "server", "start", "--port", "0", "--database", database, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    line = server.stdout.readline().strip()
    if "http://" not in line:
        return _fail(demo, "server")
    print(line)
    api_url = next(word for word in line.split() if word.startswith("http://"))
    demo.env["PENSTOCK_API_URL"] = api_url
    table = demo.folder / "results" / "months.csv"
    if demo.run("work-pool", "create", "local") != 0:
        return _fail(demo, "server")
    with demo.log("flows").open("w") as output:
        demo.start("worker", "start", "--pool", "local", stdout=output)
    deploy = ["deploy", f"{HERE / 'prices.py'}:prices", "--name", "demo", "--pool", "local"]
    if demo.run(*deploy, "--param", f"output={table}") != 0:
        return _fail(demo, "worker")
    if demo.run("run", "prices/demo", "--run-name", "demo", "--watch") != 0:
        return _fail(demo, "worker")
    return _report(api_url, table)


def _report(api_url: str, table: Path) -> int:
    """Show the table, the state and the time to the first line; 0 when the run completed."""
    from penstock.sdk.client import Client

    with Client(api_url) as client:
        run = client.read_flow_runs(flow_runs={"name": {"any_": ["demo"]}})[0]
        lines = client.read_logs(
            logs={"flow_run_id": {"any_": [str(run.id)]}}, sort="TIMESTAMP_ASC"
        )
        tasks = client.read_task_runs(flow_runs={"id": {"any_": [str(run.id)]}})
    _show_table(table)
    first = next(line for line in lines if line.message.startswith(FIRST_LINE))
    retried = [task.name for task in tasks if task.run_count > 1]
    state = run.state_type
    assert run.created is not None
    waited = (first.timestamp - run.created).total_seconds()
    print(f"\nRun {_short(run.id)}: {state.value if state else 'without a state'}")
    print(f"Task runs: {len(tasks)}, retried: {', '.join(retried) or 'none'}")
    print(f"From creation to the flow's first line: {waited * 1000:.0f} ms")
    return 0 if state == "COMPLETED" else 1


def _show_table(path: Path) -> None:
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _show(*words: str, background: bool = False) -> None:
    print(f"\n$ penstock {shlex.join(words)}{' &' if background else ''}", flush=True)


def _short(run_id: UUID) -> str:
    return str(run_id)[-12:]


def _fail(demo: Demo, name: str) -> int:
    print(f"\nThe demo failed. The {name}'s last lines:", file=sys.stderr)
    print(demo.log(name).read_text()[-3000:], file=sys.stderr)
    return 1


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"The demo took {time.monotonic() - began:.1f} s.")
    sys.exit(code)
