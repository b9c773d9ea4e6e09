"""The local server: joined when it runs, started when it does not.

The server holds a `flock` on `<database file>.lock` while it lives and writes its address into it.
"""

from __future__ import annotations

import atexit
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from penstock.sdk.errors import ServerStartError
from penstock.sdk.settings import Settings

IDLE_EXIT_SECONDS = 60
START_TIMEOUT_SECONDS = 30.0
#: the server's exit code when another server holds the database
HELD_EXIT_CODE = 3


def local_server_url(settings: Settings) -> str:
    """The API root of the local server on the configured SQLite file; starts it when needed.

    Raises ServerStartError when it does not come up, or the database is not a SQLite file.
    """
    database = _database_file(settings.database_url)
    lock = Path(f"{database}.lock")
    url = _running_url(lock)
    if url is not None:
        return url
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerStartError(f"{error}: set PENSTOCK_HOME to a folder you may write") from error
    return _start(f"sqlite:///{database}", lock, Path(f"{database}.server.log"))


def _database_file(database_url: str) -> Path:
    scheme, _, path = database_url.partition(":///")
    if scheme != "sqlite" or not path:
        raise ServerStartError(
            "PENSTOCK_DATABASE_URL names no local SQLite file: start `penstock server start` "
            "and set PENSTOCK_API_URL to its address"
        )
    return Path(path).expanduser().absolute()


def _running_url(lock: Path) -> str | None:
    """The address of the living server that holds the lock, None when there is none."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _written_url(file.read())
    except (FileNotFoundError, NotADirectoryError):
        pass
    return None


def _written_url(content: bytes) -> str | None:
    try:
        url = json.loads(content).get("url")
    except ValueError:  # the holder has not written it yet
        return None
    return str(url).rstrip("/") if url else None


def _start(database_url: str, lock: Path, log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    server = _spawn(database_url, log)
    while time.monotonic() < deadline:
        url = _running_url(lock)
        if url is not None and _is_ready(url):
            return url
        exit_code = server.poll()
        if exit_code == HELD_EXIT_CODE:
            # either another client's server won, whose address comes, or our look at the lock
            # stood in its way for a moment: then nobody holds it and the next try succeeds
            time.sleep(0.05)
            if not _is_held(lock):
                server = _spawn(database_url, log)
        elif exit_code is not None:
            raise ServerStartError(f"the local server ended with exit code {exit_code}: see {log}")
        time.sleep(0.02)
    raise ServerStartError(
        f"the local server was not ready after {START_TIMEOUT_SECONDS:g} s: see {log}"
    )


def _spawn(database_url: str, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "penstock.server", "--database", database_url, "--port", "0"]
    command += ["--idle-exit-seconds", str(IDLE_EXIT_SECONDS)]
    environ = {k: v for k, v in os.environ.items() if k != "PENSTOCK_ATTEMPT_ID"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environ,
        )
    _servers.append(server)
    return server


_servers: list[subprocess.Popen[bytes]] = []


def _let_go() -> None:
    """The servers outlive this process: they are not forgotten children to warn about."""
    for server in _servers:
        if server.poll() is None:
            server.returncode = 0


atexit.register(_let_go)


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _is_ready(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", f"{address.path}/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
