"""A server that a flow or a command has started makes room for one that is started by hand."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import sqlite_url
from tests.provision import READY, ServerProcess, clean_environment


@contextmanager
def in_use(url: str) -> Iterator[threading.Event]:
    """Somebody uses the server inside the block, until the event is set."""
    enough = threading.Event()

    def use() -> None:
        while not enough.wait(0.2):
            httpx.get(f"{url}/health")

    user = threading.Thread(target=use)
    user.start()
    try:
        yield enough
    finally:
        enough.set()
        user.join()


def test_a_server_started_by_hand_waits_for_the_local_one_to_leave(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    command = [sys.executable, "-m", "penstock.server", "--port", "0", "--database", url]
    with (
        ServerProcess(url, tmp_path / "local", "--idle-exit-seconds", "2") as local,
        in_use(local.url) as enough,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(tmp_path),
        ) as by_hand,
    ):
        assert by_hand.stdout is not None
        assert by_hand.stderr is not None
        try:
            waiting = by_hand.stderr.readline()
            assert waiting.startswith("Waiting")
            assert local.url in waiting
            enough.set()
            assert READY.search(by_hand.stdout.readline())
            assert local.process.wait(5) == 0
        finally:
            by_hand.terminate()
