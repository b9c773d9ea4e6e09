"""Stores that grow by the day and are forgotten by the day: logs and events.

A segment holds what was received on one day (UTC). On SQLite it is a file beside the database with
a writer of its own, so that a storm of logs slows no create; on PostgreSQL it is a partition.
Retention drops a file or a partition and never deletes rows.
"""

import asyncio
import heapq
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Select, Table, text
from sqlalchemy.engine.interfaces import Dialect

from penstock.store.database import Database
from penstock.store.engines.jobs import Read, Write
from penstock.store.engines.sqlite import READ_SECONDS, SqliteEngine, connect, translate
from penstock.store.segment_tables import EVENT_TABLES, LOG_TABLES, definitions
from penstock.store.statements import POSTGRES, SQLITE, Row
from penstock.store.threads import Completions, ThreadTeam, answer
from penstock.store.transaction import Transaction

T = TypeVar("T")
Segments = Sequence[Transaction]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a store of segments holds. The name is part of the files' names."""

    name: str
    tables: tuple[Table, ...]
    #: SQLite's promise about a power cut; a killed process loses nothing with either
    synchronous: str
    retention_days: int


#: A power cut may cost the last moments of the logs; then nobody waits for the disk.
LOGS = Kind("logs", LOG_TABLES, "NORMAL", 30)
#: Events are acknowledged, and leave the outbox, once they are on the disk.
EVENTS = Kind("events", EVENT_TABLES, "FULL", 7)


def day_number(moment: datetime | date) -> int:
    """20261121 for a moment of that day."""
    return moment.year * 10_000 + moment.month * 100 + moment.day


def _date_of(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)


class SegmentStore(Protocol):
    """One of the two stores, on either engine."""

    kind: Kind
    dialect: Dialect

    async def write(self, unit: Callable[[Transaction], T], now: datetime) -> T:
        """Run a unit of work in the segment of that day; its result once it is committed."""

    async def read(self, function: Callable[[Segments], T]) -> T:
        """The function's result; it is given the segments, newest first.

        On PostgreSQL there is always one, which stands for all partitions.
        """

    async def prepare(self, now: datetime) -> None:
        """Make the segments that will be needed soon."""

    async def forget(self, before: datetime) -> int:
        """Drop the segments of the days before that moment's; how many."""

    async def sizes(self) -> dict[int, int]:
        """The bytes that each day takes, by its number."""

    async def close(self) -> None:
        """Finish what is queued and let go of the store."""


async def open_segments(db: Database, kind: Kind) -> SegmentStore:
    """The store of that kind beside the database."""
    if db.is_postgres:
        return PartitionStore(db, kind)
    assert isinstance(db.engine, SqliteEngine)
    return FileStore(db.engine.path, kind)


# ------------------------------------------------------------------ reading across segments


def merged(
    segments: Segments,
    query: Select[Any],
    key: Callable[[Row], Any],
    *,
    descending: bool,
    limit: int,
    offset: int,
) -> list[Row]:
    """One page of a query that is ordered by `key`, over all segments.

    The offset is left to the database where one segment alone has matches, as is usual.
    """
    if offset and len(segments) > 1:
        segments = [s for s in segments if s.row(query.limit(1)) is not None]
    if len(segments) == 1:
        return segments[0].rows(query.limit(limit).offset(offset))
    pages = [s.rows(query.limit(offset + limit)) for s in segments]
    return list(islice(heapq.merge(*pages, key=key, reverse=descending), offset, offset + limit))


# ------------------------------------------------------------------ SQLite: a file per day


class FileStore:
    """Segments as files: `penstock-logs-20261121.db` beside `penstock.db`."""

    def __init__(self, database: Path, kind: Kind) -> None:
        self.kind = kind
        self.dialect = SQLITE
        self._database = database
        self._completions = Completions(asyncio.get_running_loop())
        pattern = f"{database.stem}-{kind.name}-????????.db"
        found = (p.stem[-8:] for p in database.parent.glob(pattern))
        self._days = sorted({int(d) for d in found if d.isdigit()})
        self._writer: SqliteEngine | None = None
        self._day = 0
        self._turning = asyncio.Lock()
        self._readers = ThreadTeam(f"read-{kind.name}", 2, self._read, _close_all)

    def path(self, day: int) -> Path:
        """The file of a day."""
        return self._database.with_name(f"{self._database.stem}-{self.kind.name}-{day:08}.db")

    async def write(self, unit: Callable[[Transaction], T], now: datetime) -> T:
        """Run a unit of work in the file of that day."""
        day = day_number(now)
        if day > self._day:
            await self._turn_to(day)
        writer = self._writer
        assert writer is not None
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        writer.submit_write(Write(unit, future))
        result: T = await future
        return result

    async def read(self, function: Callable[[Segments], T]) -> T:
        """The function's result; the files are read by threads of their own."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._readers.submit(Read(function, future))  # type: ignore[arg-type]  # of many, not one
        result: T = await future
        return result

    async def prepare(self, now: datetime) -> None:
        """Open the file of that day."""
        if day_number(now) > self._day:
            await self._turn_to(day_number(now))

    async def forget(self, before: datetime) -> int:
        """Delete the files of the days before that moment's."""
        old = [d for d in self._days if d < day_number(before) and d != self._day]
        self._days = [d for d in self._days if d not in old]
        for day in old:
            await asyncio.to_thread(_unlink, self.path(day))
        return len(old)

    async def sizes(self) -> dict[int, int]:
        """The bytes of each day's file, with what is not merged into it yet."""
        return await asyncio.to_thread(lambda: {d: _file_bytes(self.path(d)) for d in self._days})

    async def close(self) -> None:
        """Finish what is queued and close the files."""
        await asyncio.to_thread(self._readers.stop)
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)

    async def _turn_to(self, day: int) -> None:
        async with self._turning:
            if day <= self._day:
                return
            path, last = self.path(day), self._writer
            try:
                await asyncio.to_thread(_create, path, self.kind)
                self._writer = SqliteEngine(
                    path, self._completions, _nobody_is_told, synchronous=self.kind.synchronous
                )
            except sqlite3.Error as e:
                raise translate(e) from e
            self._day = day
            self._days = sorted({*self._days, day})
            if last is not None:
                await asyncio.to_thread(last.stop)

    def _read(
        self, connections: dict[int, sqlite3.Connection] | None, job: Read
    ) -> dict[int, sqlite3.Connection]:
        connections = {} if connections is None else connections
        days = self._days
        result, error = None, None
        try:
            for gone in [d for d in connections if d not in days]:
                connections.pop(gone).close()
            deadline = time.monotonic() + READ_SECONDS
            segments = []
            for day in reversed(days):
                if day not in connections:
                    connections[day] = connect(self.path(day), readonly=True)
                connections[day].set_progress_handler(lambda: time.monotonic() > deadline, 200_000)
                segments.append(Transaction(connections[day], SQLITE, {}))
            result = job.function(segments)  # type: ignore[arg-type]  # of many, not one
        except sqlite3.Error as e:
            error = translate(e)
        except BaseException as e:  # whatever it is belongs to the caller who waits
            error = e  # type: ignore[assignment]
        self._completions.call(answer, job.future, result, error)
        return connections


def _create(path: Path, kind: Kind) -> None:
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            for statement in definitions(kind.tables, SQLITE):
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _file_bytes(path: Path) -> int:
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
    return sum(f.stat().st_size for f in files if f.exists())


def _close_all(connections: dict[int, sqlite3.Connection]) -> None:
    for connection in connections.values():
        connection.close()


def _nobody_is_told(effects: list[Any]) -> None:
    """Segments have no outbox."""


# ------------------------------------------------------------------ PostgreSQL: a partition per day


class PartitionStore:
    """Segments as partitions, made a day ahead and also on demand."""

    def __init__(self, db: Database, kind: Kind) -> None:
        self.kind = kind
        self.dialect = POSTGRES
        self._db = db
        self._made: set[int] = set()

    async def write(self, unit: Callable[[Transaction], T], now: datetime) -> T:
        """Run a unit of work whose rows belong to that day's partition."""
        await self._ensure(day_number(now))
        return await self._db.write(unit)

    async def read(self, function: Callable[[Segments], T]) -> T:
        """The function's result over all partitions."""
        return await self._db.read(lambda tx: function([tx]))

    async def prepare(self, now: datetime) -> None:
        """Make the partitions of that day and of the next."""
        await self._ensure(day_number(now))
        await self._ensure(day_number(now + DAY))

    async def forget(self, before: datetime) -> int:
        """Drop the partitions of the days before that moment's."""
        limit = day_number(before)
        found = await self._db.read(lambda tx: _partitions(tx, self.kind.tables[0]))
        old = [d for d in found if d < limit]
        for day in old:
            for table in self.kind.tables:
                drop = text(f"DROP TABLE IF EXISTS {table.name}_{day}")
                await self._db.write(lambda tx, drop=drop: tx.run(drop), one_statement=True)  # type: ignore[misc]
            self._made.discard(day)
        return len(old)

    async def sizes(self) -> dict[int, int]:
        """The bytes of each day's partitions, with their indexes."""

        def read(tx: Transaction) -> dict[int, int]:
            days = _partitions(tx, self.kind.tables[0])
            return {day: sum(_table_bytes(tx, t, day) for t in self.kind.tables) for day in days}

        return await self._db.read(read)

    async def close(self) -> None:
        """Nothing is held."""

    async def _ensure(self, day: int) -> None:
        if day not in self._made:
            await self._db.write(lambda tx: _make_partitions(tx, self.kind, day))
            self._made.add(day)


def _make_partitions(tx: Transaction, kind: Kind, day: int) -> None:
    # Attaching a finished table takes a weaker lock than CREATE TABLE … PARTITION OF, which would
    # wait for every reader of the parent, and all others for it.
    tx.run_rows("SELECT pg_advisory_xact_lock(7364657)", ())
    for table in kind.tables:
        name = f"{table.name}_{day}"
        if tx.run_rows("SELECT 1 FROM pg_class WHERE oid = to_regclass($1)", (name,)):
            continue
        tx.run(text(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)"))
        tx.run(text(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES IN ({day})"))


def _partitions(tx: Transaction, table: Table) -> list[int]:
    found: Iterable[Any] = tx.run_rows(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = $1::regclass",
        (table.name,),
    )
    return sorted(int(name.rpartition("_")[2]) for (name,) in found)


def _table_bytes(tx: Transaction, table: Table, day: int) -> int:
    asked = "SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0)"
    return int(tx.run_rows(asked, (f"{table.name}_{day}",))[0][0])


# ------------------------------------------------------------------ retention


async def forget_old_segments(store: SegmentStore, now: datetime, keep_days: int) -> int:
    """Drop what was received more than so many days ago, make tomorrow's room; how many dropped."""
    await store.prepare(now)
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return await store.forget(midnight - keep_days * DAY)


async def forget_segments_beyond(store: SegmentStore, now: datetime, keep_bytes: int) -> int:
    """Drop the oldest days until the others fit; how many. The day that is written stays."""
    sizes = await store.sizes()
    size, last = sum(sizes.values()), None
    for day in sorted(sizes):
        if size <= keep_bytes or day >= day_number(now):
            break
        size -= sizes[day]
        last = day
    if last is None:
        return 0
    after = datetime.combine(_date_of(last) + DAY, datetime.min.time(), UTC)
    return await store.forget(after)
