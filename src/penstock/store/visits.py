"""A unit of work without a server: for commands that run beside one, or without any."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from penstock.store.database import sqlite_path
from penstock.store.engines import sqlite
from penstock.store.engines.sqlite import FileIsHeld, FileLock
from penstock.store.migrations import upgrade_postgres, upgrade_sqlite
from penstock.store.statements import POSTGRES, SQLITE
from penstock.store.transaction import Transaction

T = TypeVar("T")


def visit(url: str, unit: Callable[[Transaction], T]) -> T:
    """Run one unit of work on a database, also while a server has it; the unit's result.

    Raises SchemaIsOld as Database.open does, and the errors a door would answer with.
    """
    path = sqlite_path(url)
    return _visit_postgres(url, unit) if path is None else _visit_sqlite(path, unit)


def _visit_sqlite(path: Path, unit: Callable[[Transaction], T]) -> T:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileIsHeld):  # then that server has brought the schema up to date
        lock = FileLock(path)
        try:
            upgrade_sqlite(path)
        finally:
            lock.release()
    with closing(sqlite.connect(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = unit(Transaction(connection, SQLITE, {}))
            connection.execute("COMMIT")
        except sqlite3.Error as e:
            raise sqlite.translate(e) from e
    return result


def _visit_postgres(url: str, unit: Callable[[Transaction], T]) -> T:
    import psycopg

    from penstock.store.engines import postgres

    try:
        upgrade_postgres(url)
        with closing(postgres.connect(url)) as connection, connection.transaction():
            return unit(Transaction(connection, POSTGRES, {}))
    except psycopg.Error as e:
        raise postgres.translate(e) from e
