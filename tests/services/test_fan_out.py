"""What was told in a unit of work reaches listeners, the event store and other servers, once."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from penstock.contract.rest.events import EventFilter
from penstock.core import documents
from penstock.core.errors import Unavailable
from penstock.operations.hub import DueRuns, Subscription
from penstock.operations.streams import Streams, open_streams
from penstock.services.fan_out import fan_out
from penstock.store import segments
from penstock.store.database import Database
from penstock.store.events import count_events
from penstock.store.grouped import GroupedRows
from penstock.store.outbox import select_untold, tell
from tests.conftest import sqlite_url

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)
QUEUE = UUID(int=7)


def body(name: str) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "occurred": NOW,
        "event": name,
        "resource": {"prefect.resource.id": "thing"},
        "related": [],
        "payload": {},
        "follows": None,
    }


async def say(db: Database, *names: str) -> None:
    """Commit units that tell events of these names."""
    for name in names:
        await db.write(partial(tell, kind="event", body=body(name)))


@asynccontextmanager
async def server(url: str) -> AsyncIterator[tuple[Database, Streams]]:
    """A database, its streams and its fan-out."""
    db = await Database.open(url)
    async with open_streams(db, NOW) as streams, fan_out(db, streams).running():
        yield db, streams
    await db.close()


async def heard(subscription: Subscription[Any], count: int) -> str:
    """The names of the next so many events."""
    names: list[str] = []
    async with asyncio.timeout(10):
        while len(names) < count:
            names += [e["event"] for e in await subscription.take()]
    return "".join(names)


async def stored(streams: Streams, count: int) -> int:
    """How many events are stored, once there are so many."""
    async with asyncio.timeout(10):
        while True:
            found = await streams.events.read(partial(count_events, filter=EventFilter()))
            if found >= count:
                return found
            await asyncio.sleep(0.02)


async def test_listeners_hear_events_in_order_and_the_store_keeps_them(database_url: str) -> None:
    async with server(database_url) as (db, streams):
        with streams.hub.events.subscription(lambda e: True) as subscription:
            await say(db, *"abc")
            assert await heard(subscription, 3) == "abc"
        assert await stored(streams, 3) == 3


async def test_what_a_killed_server_left_is_told_by_the_next(database_url: str) -> None:
    db = await Database.open(database_url)
    await say(db, *"ab")
    await db.close()
    async with server(database_url) as (db, streams):
        assert await stored(streams, 2) == 2
        await say(db, "c")
        assert await stored(streams, 3) == 3
        if not db.is_postgres:
            async with asyncio.timeout(10):
                # ASYNC110 wants an event; nothing tells of a removal
                while await db.read(partial(select_untold, after=0)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_a_run_that_is_due_wakes_one_who_waits_for_its_queue(database_url: str) -> None:
    state = {"id": uuid4(), "type": "SCHEDULED", "name": "Scheduled", "message": None}
    run = {"id": uuid4(), "name": "r", "flow_id": uuid4(), "work_queue_id": QUEUE, "run_count": 0}
    told = {
        "run": run | {"deployment_id": None, "parent_task_run_id": None, "tags": []},
        "state": state | {"timestamp": NOW, "scheduled_time": NOW},
        "from": None,
    }
    async with server(database_url) as (db, streams):
        due = streams.hub.due
        with due.waiter([QUEUE]) as first, due.waiter([QUEUE, uuid4()]) as second:
            await db.write(partial(tell, kind="flow-run-state", body=told))
            assert await first.wait(10)
            assert await stored(streams, 1) == 1
            assert not second.is_woken


async def test_two_servers_hear_each_other_and_store_each_event_once(
    database_url: str,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one server per SQLite file")
    async with server(database_url) as (first, streams), server(database_url) as (second, others):
        with (
            streams.hub.events.subscription(lambda e: True) as here,
            others.hub.events.subscription(lambda e: True) as there,
        ):
            await say(first, "a")
            await say(second, "b")
            assert sorted(await heard(here, 2)) == ["a", "b"]
            assert sorted(await heard(there, 2)) == ["a", "b"]
        assert await stored(streams, 2) == 2


async def test_a_row_that_commits_late_is_never_skipped(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer; its rows commit in order")
    insert = (
        "INSERT INTO outbox (xid, kind, body) VALUES "
        "(pg_current_xact_id()::text::bigint, 'event', %s)"
    )
    async with server(database_url) as (db, streams):
        with streams.hub.events.subscription(lambda e: True) as subscription:
            with psycopg.connect(database_url) as late:
                late.execute(insert, (documents.dump(body("l")),))
                await say(db, "a")  # its number is higher, and it commits first
                assert not await db.read(partial(select_untold, after=0))
                late.commit()
            await say(db, "b")
            assert await heard(subscription, 3) == "lab"
        assert await stored(streams, 3) == 3


async def test_what_cannot_be_told_holds_up_nothing_behind_it(database_url: str) -> None:
    async with server(database_url) as (db, streams):
        with streams.hub.events.subscription(lambda e: True) as subscription:
            for kind in ("event", "flow-run-state"):
                await db.write(partial(tell, kind=kind, body={"run": {}, "state": {}, "id": "?"}))
                await say(db, "a")
                assert await heard(subscription, 1) == "a"
        assert await stored(streams, 2) == 2


async def test_events_that_cannot_be_stored_are_stored_later(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(database_url) as (db, streams):
        write, failed = streams.events.write, asyncio.Event()

        async def odd(*_: Any, **__: Any) -> Any:
            failed.set()
            raise ValueError("odd")

        monkeypatch.setattr(streams.events, "write", odd)
        await say(db, "a")
        await asyncio.wait_for(failed.wait(), 10)
        monkeypatch.setattr(streams.events, "write", write)
        assert await stored(streams, 1) == 1


async def test_a_new_day_on_a_full_disk_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(sqlite_url(tmp_path)) as (db, streams):

        def full(*_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        tomorrow = NOW + timedelta(days=1)
        monkeypatch.setattr(segments, "_create", full)
        with pytest.raises(Unavailable, match="disk is full"):
            await streams.store_events([body("a") | {"received": tomorrow}], tomorrow)
        monkeypatch.undo()
        await streams.store_events([body("b") | {"received": tomorrow}], tomorrow)
        assert await stored(streams, 1) == 1


async def test_rows_that_cannot_be_written_spoil_nothing_for_others() -> None:
    written: list[str] = []

    async def write(rows: list[str], now: datetime) -> None:
        if "bad" in rows:
            raise ValueError("bad")
        written.extend(rows)

    grouped = GroupedRows(write)
    added = [grouped.add([row], NOW) for row in ("a", "bad", "b")]
    done = await asyncio.gather(*added, return_exceptions=True)
    assert [type(d) for d in done] == [type(None), ValueError, type(None)]
    assert written == ["a", "b"]


async def test_waiters_are_woken_one_per_run_first_come_first_served() -> None:
    due = DueRuns()
    with due.waiter([QUEUE]) as first, due.waiter([QUEUE]) as second:
        due.wake(QUEUE, None, NOW)
        assert (first.is_woken, second.is_woken) == (True, False)
        due.wake(QUEUE, NOW - timedelta(seconds=1), NOW)
        assert second.is_woken
        due.wake(uuid4(), None, NOW)
        assert await first.wait(0)
        assert not first.is_woken
    assert not await due.wait_due([QUEUE], 0.01)


async def test_a_wake_up_that_was_not_used_goes_to_the_next() -> None:
    due = DueRuns()
    with due.waiter([QUEUE]) as second:
        with due.waiter([uuid4(), QUEUE]) as gone:
            second.wake()
            due.wake(QUEUE, None, NOW)
            assert gone.is_woken
            assert await second.wait(1)
        assert await second.wait(1)


async def test_a_run_due_in_a_moment_wakes_then() -> None:
    due = DueRuns()
    with due.waiter([QUEUE]) as waiter:
        due.wake(QUEUE, NOW + timedelta(seconds=0.05), NOW)
        assert not waiter.is_woken
        assert await waiter.wait(5)


async def test_a_slow_listener_loses_what_is_too_much() -> None:
    async with asyncio.timeout(5):
        subscription: Subscription[int] = Subscription(lambda item: item != 3)
        for item in range(300):
            subscription.offer(item)
        items = await subscription.take()
    assert len(items) == 256
    assert 3 not in items
    assert subscription.dropped == 43
