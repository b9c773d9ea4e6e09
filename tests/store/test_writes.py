"""The write path: groups of units commit together, and a bad one spoils nothing for the others."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from penstock.core.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from penstock.store.api_keys import insert_api_key
from penstock.store.database import Database
from penstock.store.engines import postgres, sqlite
from penstock.store.engines.sqlite import FileIsHeld
from penstock.store.tables import api_key
from penstock.store.transaction import Stale, Transaction
from tests.conftest import sqlite_url
from tests.provision import clean_environment

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MANY = 200


class Odd(BaseException):
    """An error that no `except Exception` catches."""


def insert(tx: Transaction, name: str) -> str:
    """A unit of work: one row; its name."""
    insert_api_key(tx, name, f"hash of {name}", NOW)
    return name


def names(tx: Transaction) -> list[str]:
    """The names of all rows."""
    return sorted(row.name for row in tx.rows(select(api_key.c.name)))


@asynccontextmanager
async def busy_writers(db: Database) -> AsyncIterator[None]:
    """All writing threads are held up inside the block, so that what is written queues up."""
    ready, go = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        ready.set()
        assert go.wait(15)

    # More than there are threads: some stand in the queue, before whatever comes.
    held = [asyncio.create_task(db.write(hold)) for _ in range(10 if db.is_postgres else 1)]
    await asyncio.to_thread(ready.wait, 15)
    try:
        yield
    finally:
        go.set()
        await asyncio.gather(*held)


async def outcomes(db: Database, units: list[Callable[[Transaction], Any]]) -> list[Any]:
    """What each unit gave or raised, all of them queued before the first one runs."""
    async with busy_writers(db):
        tasks = [asyncio.create_task(db.write(unit)) for unit in units]
        await asyncio.sleep(0)  # lets the tasks queue their units
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_many_concurrent_units_are_all_committed(db: Database) -> None:
    wanted = [f"n{i:03}" for i in range(MANY)]
    done = await outcomes(db, [lambda tx, n=n: insert(tx, n) for n in wanted])  # type: ignore[misc]
    assert done == wanted
    assert await db.read(names) == wanted


async def test_what_waits_meanwhile_is_committed_together_on_sqlite(tmp_path: Path) -> None:
    db = await Database.open(sqlite_url(tmp_path))
    groups: list[int] = []
    db.subscribers.append(lambda told: groups.append(len(told)))

    def unit(tx: Transaction, name: str) -> None:
        insert(tx, name)
        tx.effects.append(name)

    await outcomes(db, [lambda tx, i=i: unit(tx, f"n{i}") for i in range(MANY)])  # type: ignore[misc]
    await db.close()
    assert groups == [MANY]


def refuse_first(tx: Transaction) -> None:
    raise NotFound("refused before it wrote anything")


def refuse_after_writing(tx: Transaction) -> None:
    insert(tx, "half done")
    raise NotFound("refused after it has written")


def violate_a_constraint(tx: Transaction) -> None:
    insert(tx, "twice")
    insert(tx, "twice")


def fail_oddly(tx: Transaction) -> None:
    insert(tx, "odd")
    raise Odd("neither an Exception nor foreseen")


def divide_by_zero(tx: Transaction) -> None:
    insert(tx, "bug")
    print(1 // 0)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (refuse_first, NotFound),
        (refuse_after_writing, NotFound),
        (violate_a_constraint, Conflict),
        (fail_oddly, Odd),
        (divide_by_zero, ZeroDivisionError),
    ],
)
async def test_an_error_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    db: Database, bad: Callable[[Transaction], None], error: type[BaseException]
) -> None:
    told: list[str] = []
    db.subscribers.append(told.extend)
    wanted = [f"n{i:03}" for i in range(MANY)]

    def unit(tx: Transaction, name: str) -> str:
        tx.effects.append(name)
        return insert(tx, name)

    units: list[Callable[[Transaction], Any]] = [
        lambda tx, n=n: unit(tx, n)  # type: ignore[misc]
        for n in wanted
    ]
    units.insert(MANY // 2, bad)
    done = await outcomes(db, units)
    failed = done.pop(MANY // 2)
    assert isinstance(failed, error)
    assert done == wanted  # each got its own answer
    assert await db.read(names) == wanted
    assert sorted(told) == wanted


async def test_what_was_answered_is_read_at_once(db: Database) -> None:
    await db.write(lambda tx: insert(tx, "a"))
    assert await db.read(names) == ["a"]


async def test_what_was_prepared_from_old_facts_is_prepared_again(db: Database) -> None:
    prepared: list[int] = []

    def prepare(tx: Transaction) -> int:
        prepared.append(len(prepared))
        return prepared[-1]

    def unit(tx: Transaction, number: int) -> int:
        insert(tx, f"try {number}")
        if number < 2:
            raise Stale
        return number

    assert await db.prepare_and_write(prepare, unit) == 2
    assert prepared == [0, 1, 2]
    assert await db.read(names) == ["try 2"]


async def test_what_keeps_changing_ends_as_unavailable(db: Database) -> None:
    tries: list[int] = []

    def unit(tx: Transaction, prepared: None) -> None:
        tries.append(1)
        insert(tx, "never")
        raise Stale

    with pytest.raises(Unavailable) as refused:
        await db.prepare_and_write(lambda tx: None, unit)
    assert refused.value.retry_after > 0
    assert 3 <= len(tries) <= 10
    assert await db.read(names) == []


async def test_a_slow_preparation_holds_up_no_other_write(db: Database) -> None:
    go = threading.Event()

    def prepare_slowly(tx: Transaction) -> None:
        assert go.wait(15)

    slow = asyncio.create_task(
        db.prepare_and_write(prepare_slowly, lambda tx, _: insert(tx, "slow"))
    )
    try:
        others = [
            db.prepare_and_write(lambda tx, i=i: f"n{i:03}", insert)  # type: ignore[misc]
            for i in range(100)
        ]
        await asyncio.gather(*others)
        assert not slow.done()
    finally:
        go.set()
    await slow
    assert len(await db.read(names)) == 101


async def test_a_read_sees_one_snapshot_on_sqlite(tmp_path: Path) -> None:
    db = await Database.open(sqlite_url(tmp_path))
    seen_once, go = threading.Event(), threading.Event()

    def read_twice(tx: Transaction) -> tuple[list[str], list[str]]:
        first = names(tx)
        seen_once.set()
        assert go.wait(15)
        return first, names(tx)

    reading = asyncio.create_task(db.read(read_twice))
    await asyncio.to_thread(seen_once.wait, 15)
    await db.write(lambda tx: insert(tx, "meanwhile"))
    go.set()
    assert await reading == ([], [])
    assert await db.read(names) == ["meanwhile"]
    await db.close()


async def test_a_read_that_takes_too_long_is_interrupted(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "READ_SECONDS", 0.2)
    endless = (
        "SELECT pg_sleep(60)"  # bounded by the connection's statement_timeout
        if db.is_postgres
        else "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    )
    with pytest.raises(Unavailable, match="narrow its filter"):
        await db.read(lambda tx: tx.run_rows(endless, ()))
    assert await db.read(names) == []


async def test_a_full_queue_is_refused_and_loses_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres if db.is_postgres else sqlite, "MAX_QUEUE", 12)
    async with busy_writers(db):
        tasks = [
            asyncio.create_task(db.write(lambda tx, i=i: insert(tx, f"n{i}")))  # type: ignore[misc]
            for i in range(20)
        ]
        await asyncio.sleep(0)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    written = sorted(d for d in done if isinstance(d, str))
    assert 2 <= len(written) < 20
    assert all(isinstance(d, Unavailable) and d.retry_after for d in done if d not in written)
    assert await db.read(names) == written


async def test_a_full_disk_is_a_clear_error_and_service_resumes_by_itself(tmp_path: Path) -> None:
    db = await Database.open(sqlite_url(tmp_path))
    told: list[str] = []
    db.subscribers.append(told.extend)

    def limit_pages(tx: Transaction, further: int) -> None:
        [[pages]] = tx.run_rows("PRAGMA page_count", ())
        tx.run_rows(f"PRAGMA max_page_count={pages + further}", ())

    def unit(tx: Transaction, number: int) -> str:
        name = f"{number:03}"
        tx.effects.append(name)
        # Every fifth needs many pages: those do not fit, the small ones do for a while.
        insert_api_key(tx, name, f"{number}" + "x" * (200_000 if number % 5 == 0 else 1), NOW)
        return name

    await db.write(lambda tx: limit_pages(tx, 20))
    done = await outcomes(db, [lambda tx, i=i: unit(tx, i) for i in range(MANY)])  # type: ignore[misc]
    written = [d for d in done if isinstance(d, str)]
    refused = [d for d in done if d not in written]
    assert len(refused) >= MANY // 5
    assert len(written) > 20
    assert {(type(r), r.message) for r in refused} == {
        (Unavailable, "The disk is full; free some space and try again")
    }
    assert await db.read(names) == written == sorted(told)
    await db.write(lambda tx: limit_pages(tx, 100_000))
    await db.write(lambda tx: unit(tx, 1000))
    assert "1000" in await db.read(names)
    await db.close()


async def test_a_second_server_on_the_file_names_the_first(tmp_path: Path) -> None:
    db = await Database.open(sqlite_url(tmp_path))
    assert db.lock is not None
    db.lock.tell("http://127.0.0.1:4242/api")
    with pytest.raises(FileIsHeld, match=r"penstock\.db is held by .*4242"):
        await Database.open(sqlite_url(tmp_path))
    command = [sys.executable, "-m", "penstock.server", "--port", "0"]
    command += ["--database", sqlite_url(tmp_path)]
    done = await asyncio.to_thread(
        subprocess.run, command, env=clean_environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "http://127.0.0.1:4242/api" in done.stderr
    await db.close()
    again = await Database.open(sqlite_url(tmp_path))
    await again.close()


async def test_a_checkpoint_that_fails_ends_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "IDLE_CHECKPOINT", 0)
    monkeypatch.setattr(sqlite, "MUST_CHECKPOINT", 0)
    db = await Database.open(sqlite_url(tmp_path))
    assert isinstance(db.engine, sqlite.SqliteEngine)
    real = db.engine._connection

    class Full:
        """Its disk has no room for a checkpoint."""

        def execute(self, sql: str, *arguments: Any) -> Any:
            if "checkpoint" in sql:
                raise sqlite3.OperationalError("database or disk is full")
            return real.execute(sql, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    db.engine._connection = Full()  # type: ignore[assignment]
    async with asyncio.timeout(5):
        for name in "abc":
            await db.write(lambda tx, name=name: insert(tx, name))  # type: ignore[misc]
    assert "stays for now" in caplog.text
    db.engine._connection = real
    await db.close()


async def test_a_file_that_cannot_be_opened_for_a_read_is_an_error_and_ends_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await Database.open(sqlite_url(tmp_path))
    connect = sqlite.connect

    def no_more_files(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite, "connect", no_more_files)
    async with asyncio.timeout(5):
        for _ in range(5):
            with pytest.raises(Unavailable, match="unable to open"):
                await db.read(names)
            with pytest.raises(Unavailable, match="unable to open"):
                await db.prepare_and_write(names, lambda tx, found: found)
        monkeypatch.setattr(sqlite, "connect", connect)
        assert await db.read(names) == []
    await db.close()


async def test_a_listener_that_fails_keeps_no_answer_from_others(db: Database) -> None:
    def fail(told: list[Any]) -> None:
        raise ValueError("odd")

    db.subscribers.append(fail)

    def unit(tx: Transaction, name: str) -> str:
        tx.effects.append(name)
        return insert(tx, name)

    async with asyncio.timeout(10):
        done = await outcomes(db, [lambda tx, n=n: unit(tx, n) for n in "abc"])  # type: ignore[misc]
    assert done == ["a", "b", "c"]


async def test_a_change_cut_off_in_the_middle_is_not_made_twice(db: Database) -> None:
    if not db.is_postgres:
        pytest.skip("SQLite has no connection to lose")
    runs: list[int] = []

    def cut_off(tx: Transaction) -> None:
        runs.append(1)
        # The statement itself may have been committed when its answer is lost.
        tx.run_rows("SELECT pg_terminate_backend(pg_backend_pid())", ())

    with pytest.raises(OutcomeUnknown, match="look whether"):
        await db.write(cut_off, one_statement=True)
    assert len(runs) == 1
    with pytest.raises(OutcomeUnknown):
        await db.prepare_and_write(lambda tx: None, lambda tx, _: cut_off(tx), one_statement=True)
    assert len(runs) == 2


async def test_connections_that_ended_while_idle_are_replaced_unnoticed(db: Database) -> None:
    if not db.is_postgres:
        pytest.skip("SQLite has no connection to lose")
    await outcomes(db, [lambda tx, i=i: insert(tx, f"n{i}") for i in range(10)])  # type: ignore[misc]
    with psycopg.connect(db.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        others = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        async with asyncio.timeout(5):
            while other.execute(others).fetchone():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    for i in range(10, 20):
        await db.write(lambda tx, i=i: insert(tx, f"n{i}"), one_statement=i % 2 == 0)  # type: ignore[misc]
    assert len(await db.read(names)) == 20
