"""The door to the database: `await read(function)`, `await write(unit)`.

Both take plain functions of a transaction. Reads see a snapshot (on PostgreSQL one per
statement); a unit of work happens wholly or not at all, and is answered only after COMMIT.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import ArgumentError

from penstock.store.engines.jobs import Read, Write
from penstock.store.engines.sqlite import FileLock, SqliteEngine
from penstock.store.migrations import upgrade_postgres, upgrade_sqlite
from penstock.store.threads import Completions
from penstock.store.transaction import StatementListener, Transaction

T = TypeVar("T")
P = TypeVar("P")
_URLS = "write sqlite:////absolute/path.db or postgresql://user:password@host/name"


class Engine(Protocol):
    """What the two engines have in common."""

    dialect: Dialect
    #: what this process remembers of the database (`Transaction.memory`)
    memory: dict[Any, Any]

    def submit_read(self, job: Read) -> None:
        """Run a read."""

    def submit_write(self, job: Write) -> None:
        """Run a unit of work."""

    def stop(self) -> None:
        """Finish and close."""


def sqlite_path(url: str) -> Path | None:
    """The file a `sqlite:///` URL names; None for a PostgreSQL one, ValueError for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"{url!r} is no database; {_URLS}") from None
    kind = parsed.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return None
    if kind != "sqlite":
        raise ValueError(f"Penstock does not speak {kind}; {_URLS}")
    if not parsed.database:
        raise ValueError(f"{url} names no file; write sqlite:////absolute/path.db")
    return Path(parsed.database).expanduser().absolute()


class Database:
    """One database, of either kind. Make it with `await Database.open(url)` in the event loop."""

    def __init__(self, url: str, engine: Engine, lock: FileLock | None) -> None:
        self.url = url
        self.engine = engine
        self.lock = lock
        self.subscribers: list[Callable[[list[Any]], None]] = []

    @classmethod
    async def open(cls, url: str, *, listener: StatementListener | None = None) -> "Database":
        """Connect, bring the schema up to date, start the threads.

        Raises FileIsHeld when another server has the SQLite file, SchemaIsOld when a PostgreSQL
        database that is not empty needs `penstock server database upgrade`.
        """
        completions = Completions(asyncio.get_running_loop())
        told: list[Database] = []

        def on_commit(effects: list[Any]) -> None:
            for subscriber in told[0].subscribers:
                subscriber(effects)

        path = sqlite_path(url)
        lock = None
        engine: Engine
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                await asyncio.to_thread(upgrade_sqlite, path)
                engine = SqliteEngine(path, completions, on_commit, listener=listener)
            except BaseException:
                lock.release()
                raise
        else:
            from penstock.store.engines.postgres import PostgresEngine

            await asyncio.to_thread(upgrade_postgres, url)
            engine = PostgresEngine(url, completions, on_commit, listener=listener)
        told.append(cls(url, engine, lock))
        return told[0]

    @property
    def is_postgres(self) -> bool:
        """Whether several servers may share this database."""
        return self.lock is None

    async def read(self, function: Callable[[Transaction], T]) -> T:
        """The function's result, from a snapshot of the database."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.engine.submit_read(Read(function, future))
        result: T = await future
        return result

    async def write(self, unit: Callable[[Transaction], T], *, one_statement: bool = False) -> T:
        """Run a unit of work; its result once it is committed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.engine.submit_write(Write(unit, future, one_statement=one_statement))
        result: T = await future
        return result

    async def prepare_and_write(
        self,
        prepare: Callable[[Transaction], P],
        unit: Callable[[Transaction, P], T],
        *,
        one_statement: bool = False,
    ) -> T:
        """Prepare without the write lock, then run the unit; both again when it raises `Stale`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.engine.submit_write(Write(unit, future, prepare=prepare, one_statement=one_statement))
        result: T = await future
        return result

    async def close(self) -> None:
        """Finish what is queued and let go of the database."""
        await asyncio.to_thread(self.engine.stop)
        if self.lock is not None:
            self.lock.release()
