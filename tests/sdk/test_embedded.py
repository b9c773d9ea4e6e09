"""The local server: started when it is needed, joined when it runs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import Client, flow
from penstock.sdk.embedded import local_server_url
from penstock.sdk.errors import ServerStartError
from penstock.sdk.settings import read_settings

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh PENSTOCK_HOME; the server that was started there is stopped."""
    monkeypatch.delenv("PENSTOCK_API_URL", raising=False)
    monkeypatch.delenv("PENSTOCK_DATABASE_URL", raising=False)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    lock = tmp_path / "home" / "penstock.db.lock"
    if lock.exists() and lock.read_bytes():
        stop(json.loads(lock.read_bytes())["pid"])


def stop(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
        except ChildProcessError:  # started by another process of the test
            if not Path(f"/proc/{pid}").exists():
                return
        time.sleep(0.02)


def test_without_an_address_a_flow_leaves_its_history_in_the_local_database(home: Path) -> None:
    @flow(name="at-home")
    def at_home() -> int:
        return 1

    assert at_home() == 1
    assert (home / "penstock.db").exists()
    with Client() as client:
        assert client.read_flow_by_name("at-home").name == "at-home"


def test_processes_that_start_together_share_one_server(home: Path) -> None:
    code = """
from penstock.sdk.embedded import local_server_url
from penstock.sdk.settings import read_settings
print(local_server_url(read_settings()))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=50)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(answers) == 1
    assert answers == {local_server_url(read_settings())}


def test_a_server_that_has_ended_is_started_again(home: Path) -> None:
    first = local_server_url(read_settings())
    lock = json.loads((home / "penstock.db.lock").read_bytes())
    stop(lock["pid"])
    second = local_server_url(read_settings())
    assert json.loads((home / "penstock.db.lock").read_bytes())["pid"] != lock["pid"]
    assert first.startswith("http://127.0.0.1:")
    assert second.startswith("http://127.0.0.1:")


def test_a_database_that_is_no_local_file_needs_a_server(home: Path) -> None:
    settings = read_settings({"PENSTOCK_DATABASE_URL": "postgresql://u:p@h/d"})
    with pytest.raises(ServerStartError, match="set PENSTOCK_API_URL"):
        local_server_url(settings)


def test_a_server_that_cannot_start_says_where_to_look(home: Path) -> None:
    home.mkdir()
    (home / "penstock.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ServerStartError, match=r"exit code \d+: see .*penstock.db.server.log"):
        local_server_url(read_settings())


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerStartError, match="set PENSTOCK_HOME"):
        local_server_url(read_settings({"PENSTOCK_HOME": str(tmp_path / "file" / "home")}))
