"""Both servers, each with a fresh database and without the loops that change runs by themselves."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.provision import running_server

#: the peer's loops that would change something between two requests
LOOPS = (
    "SCHEDULER",
    "LATE_RUNS",
    "FOREMAN",
    "PAUSE_EXPIRATIONS",
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "REPOSSESSOR",
    "TRIGGERS",
)
START_SECONDS = 120


@contextmanager
def our_server(home: Path) -> Iterator[str]:
    """The API's address of our server."""
    with running_server(f"sqlite:///{home / 'penstock.db'}", home, "--no-services") as url:
        yield url


@contextmanager
def peer_server(python: Path, home: Path) -> Iterator[str]:
    """The API's address of the peer's server, whose package `python` can import."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env = kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **{f"PREFECT_SERVER_SERVICES_{loop}_ENABLED": "false" for loop in LOOPS},
    }
    command = [str(python.with_name("prefect")), "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        _wait_until_ready(process, url, home / "server.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"The peer's server did not get ready:\n{log.read_text()[-4000:]}")
