"""A server that a flow or a command has started makes room for one that is started by hand."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import sqlite_url
from tests.provision import READY, ServerProcess, clean_environment


def test_a_server_started_by_hand_waits_for_the_local_one_to_leave(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    command = [sys.executable, "-m", "penstock.server", "--port", "0", "--database", url]
    environment = clean_environment(tmp_path)
    with (
        ServerProcess(url, tmp_path / "local", "--idle-exit-seconds", "2") as local,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as by_hand,
    ):
        assert by_hand.stdout is not None
        assert by_hand.stderr is not None
        try:
            waiting = by_hand.stderr.readline()
            assert waiting.startswith("Waiting")
            assert local.url in waiting
            assert READY.search(by_hand.stdout.readline())
            assert local.process.wait(5) == 0
        finally:
            by_hand.terminate()
