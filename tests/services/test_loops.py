"""The background loops: one server runs each, another takes over, nobody is judged too early."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from penstock.core.errors import Unavailable
from penstock.services import loop as loops
from penstock.services.loop import LEASE_SECONDS, Leases, Loop, run_loop
from penstock.store.database import Database

pytestmark = pytest.mark.anyio
NAME = "a loop"


class Clock(datetime):
    """What the loops take for the time; moved by hand."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(loops, "datetime", Clock)
    monkeypatch.setattr(Clock, "ahead", timedelta(0))
    return Clock


@pytest.fixture
async def db(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url)
    yield database
    await database.close()


async def held(db: Database) -> Leases:
    leases = Leases(db, [NAME])
    await leases.start()
    return leases


async def test_a_server_that_stops_leaves_its_loops_to_one_that_runs(db: Database) -> None:
    if not db.is_postgres:
        pytest.skip("one server per file")
    first, second = await held(db), await held(db)
    assert (first.held_since(NAME) is None, second.held_since(NAME) is None) == (False, True)
    await first.release()
    await second._claim()
    assert second.held_since(NAME) is not None
    await first.start()
    assert first.held_since(NAME) is None


async def test_leases_that_ran_out_in_between_count_from_the_new_claim(
    db: Database, clock: type[Clock]
) -> None:
    if not db.is_postgres:
        pytest.skip("a file's only server keeps its loops")
    leases = await held(db)
    clock.ahead += timedelta(seconds=LEASE_SECONDS / 2)
    await leases._claim()
    since = leases.held_since(NAME)
    assert since is not None
    assert clock.now() - since > timedelta(seconds=LEASE_SECONDS / 2)
    clock.ahead += timedelta(seconds=LEASE_SECONDS + 1)  # the database was away
    assert leases.held_since(NAME) is None
    await leases._claim()
    since = leases.held_since(NAME)
    assert since is not None
    assert clock.now() - since < timedelta(seconds=5)


@asynccontextmanager
async def running(db: Database, run_once: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """A loop that needs 30 quiet seconds first; the event is set after each of its turns."""
    turned = asyncio.Event()

    async def once(_: Database, now: datetime) -> int:
        turned.set()
        run_once()
        return 0

    leases = await held(db)
    loop = Loop(NAME, 0.01, once, settle_seconds=30)
    task = asyncio.create_task(run_loop(db, leases, loop))
    yield turned
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def comes(turned: asyncio.Event, seconds: float = 5.0) -> bool:
    turned.clear()
    try:
        async with asyncio.timeout(seconds):
            await turned.wait()
    except TimeoutError:
        return False
    return True


async def pass_by(clock: type[Clock], db: Database, seconds: float) -> None:
    """Let time pass in steps that the loop sees."""
    for _ in range(round(seconds / 5)):
        clock.ahead += timedelta(seconds=5)
        await asyncio.sleep(0.05)


async def test_after_a_sleep_of_the_machine_nobody_is_judged_at_once(
    tmp_path: str, clock: type[Clock]
) -> None:
    db = await Database.open(f"sqlite:///{tmp_path}/penstock.db")
    async with running(db, lambda: None) as turned:
        await pass_by(clock, db, 35)
        assert await comes(turned)
        clock.ahead += timedelta(minutes=10)
        await asyncio.sleep(0.05)
        assert not await comes(turned, 0.2)
        await pass_by(clock, db, 35)
        assert await comes(turned)
    await db.close()


async def test_after_trouble_with_the_database_nobody_is_judged_at_once(
    tmp_path: str, clock: type[Clock]
) -> None:
    db = await Database.open(f"sqlite:///{tmp_path}/penstock.db")
    full = [True]

    def fail_once() -> None:
        if full.pop():
            full.append(False)
            raise Unavailable("The disk is full", retry_after=1)
        full.append(False)

    async with running(db, fail_once) as turned:
        await pass_by(clock, db, 35)
        assert full == [False]
        assert not await comes(turned, 0.2)
        await pass_by(clock, db, 35)
        assert await comes(turned)
    await db.close()
