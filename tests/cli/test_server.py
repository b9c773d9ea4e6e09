"""`penstock server start`, and commands that bring their own server."""

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.cli.conftest import PENSTOCK


def test_a_server_says_where_it_serves_and_stops_when_told(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'penstock.db'}"
    process = subprocess.Popen(
        [*PENSTOCK, "server", "start", "--port", "0", "--database", database, "--no-services"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=15)
    assert said.startswith("Penstock is serving at http://127.0.0.1:"), err
    assert process.returncode == 0


def test_an_open_bind_without_authentication_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PENSTOCK, "server", "start", "--host", "0.0.0.0", "--port", "0"],
        env={**os.environ, "PENSTOCK_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


def test_without_an_address_a_local_server_is_started(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    done = subprocess.run(
        [*PENSTOCK, "version", "--output", "json"],
        env={**env, "PENSTOCK_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    holder = json.loads((tmp_path / "penstock.db.lock").read_text())
    os.kill(holder["pid"], signal.SIGTERM)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["api_url"] == holder["url"]
    assert holder["pid"] != os.getpid()
