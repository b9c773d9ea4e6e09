"""What clients send to one of two servers is heard at the other, once and in order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from penstock.core.errors import Unavailable
from penstock.operations.hub import Hub, Subscription
from penstock.operations.streams import Streams, open_streams
from penstock.services import taken_in
from penstock.services.fan_out import fan_out
from penstock.store.database import Database
from penstock.store.outbox import select_untold, tell
from tests.conftest import sqlite_url

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)
RUN = uuid4()


@dataclass
class Server:
    """One of several on a database, without its API."""

    db: Database
    streams: Streams
    #: the statements it has run
    statements: list[str] = field(default_factory=list)

    @property
    def hub(self) -> Hub:
        return self.streams.hub

    def loads(self) -> int:
        return sum("SELECT id, " in s and " ANY(" in s for s in self.statements)


@asynccontextmanager
async def server(url: str) -> AsyncIterator[Server]:
    statements: list[str] = []
    db = await Database.open(url, listener=statements.append)
    async with open_streams(db, datetime.now(UTC)) as streams, fan_out(db, streams).running():
        yield Server(db, streams, statements)
    await db.close()


@asynccontextmanager
async def servers(url: str, count: int = 2) -> AsyncIterator[Sequence[Server]]:
    if url.startswith("sqlite"):
        pytest.skip("one server per SQLite file")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(server(url)) for _ in range(count)]


def event(name: str, **fields: Any) -> Any:
    resource = {"prefect.resource.id": "thing", "prefect.resource.name": "Thing"}
    related = [{"prefect.resource.id": "other", "prefect.resource.role": "friend"}]
    found = {"id": uuid4(), "occurred": datetime.now(UTC), "event": name, "resource": resource}
    return found | {"related": related, "payload": {"n": 12345678901234567890}} | fields


def line(message: str, at: datetime | None = None) -> Any:
    at = at or datetime.now(UTC)
    return {"name": "n", "level": 20, "message": message, "timestamp": at, "flow_run_id": RUN}


async def send(to: Server, *names: str) -> None:
    """Each name is a request of its own with one event per letter."""
    for name in names:
        await to.streams.create_events([event(n) for n in name], datetime.now(UTC))


async def log(to: Server, *names: str) -> None:
    for name in names:
        await to.streams.create_logs([line(n) for n in name], datetime.now(UTC))


async def heard(subscription: Subscription[Any], count: int, key: str = "event") -> str:
    items: list[str] = []
    async with asyncio.timeout(15):
        while len(items) < count:
            items += [i[key] for i in await subscription.take()]
    return "".join(items)


async def test_events_of_clients_are_heard_everywhere_once_and_in_order(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        with (
            a.hub.events.subscription(lambda e: True) as here,
            b.hub.events.subscription(lambda e: True) as there,
        ):
            for i in range(3):
                await send(a, "ab", "cd")
                told = event("s", related=[], follows=None)
                await a.db.write(partial(tell, kind="event", body=told))
                assert await heard(there, 5) == "abcds", i
                assert await heard(here, 5) == "abcds", i


async def test_an_event_comes_as_the_wire_has_it(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        with (
            a.hub.events.subscription(lambda e: True) as here,
            b.hub.events.subscription(lambda e: True) as there,
        ):
            await a.streams.create_events([event("a", follows=uuid4())], datetime.now(UTC))
            assert await there.take() == await here.take()


async def test_log_lines_are_heard_everywhere_once_and_in_order(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        with (
            a.hub.logs.subscription(lambda e: True) as here,
            b.hub.logs.subscription(lambda e: True) as there,
        ):
            for _ in range(3):
                await log(a, "abcdef", "gh")
                assert await heard(there, 8, "message") == "abcdefgh"
                assert await heard(here, 8, "message") == "abcdefgh"
            sent = [line("a"), line("b")]
            await a.streams.create_logs(sent, datetime.now(UTC))
            await asyncio.sleep(0)
            assert await there.take() == await here.take()


async def test_lines_with_odd_times_are_heard_too(database_url: str) -> None:
    ages = [0, 3600, 86_400 * 400, 0, -3600, 0.2, 0.25]
    async with servers(database_url) as (a, b):
        with b.hub.logs.subscription(lambda e: True) as there:
            await log(b, "?")
            sent = [line(str(i), NOW - timedelta(seconds=s)) for i, s in enumerate(ages)]
            await a.streams.create_logs(sent, datetime.now(UTC))
            assert (await heard(there, 8, "message")).replace("?", "") == "0123456"


async def test_requests_at_both_servers_at_once_cost_nobody_a_line(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        with (
            a.hub.logs.subscription(lambda e: True) as here,
            b.hub.logs.subscription(lambda e: True) as there,
        ):
            await asyncio.gather(*(log(to, n) for to in (a, b) for n in ("ab", "cd", "ef", "gh")))
            for subscription in (here, there):
                assert sorted(await heard(subscription, 16, "message")) == sorted("abcdefgh" * 2)


async def test_without_listeners_nothing_is_loaded(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        seen = b.hub.events.subscription(lambda e: e["event"] == "end", lambda n: n == "end")
        with seen as only_the_end:
            await send(a, "ab")
            await log(a, "ab")
            await a.streams.create_events([event("end")], datetime.now(UTC))
            assert await heard(only_the_end, 1) == "end"
            assert b.loads() == 1
        await send(a, "c")
        with b.hub.events.subscription(lambda e: True) as subscription:
            await b.db.write(partial(tell, kind="event", body=event("z", follows=None)))
            assert (await heard(subscription, 1))[-1] == "z"
        assert a.loads() == 0


async def test_a_batch_that_commits_late_is_not_skipped(database_url: str) -> None:
    async with servers(database_url, 3) as (a, b, c):
        with b.hub.events.subscription(lambda e: True) as there:
            with psycopg.connect(database_url) as late:
                late.execute("LOCK TABLE event_resource IN ACCESS EXCLUSIVE MODE")
                waits = asyncio.create_task(send(a, "l"))  # its row is there, its commit is not
                async with asyncio.timeout(10):
                    while not await _blocked(c):  # noqa: ASYNC110  # nothing tells of a lock
                        await asyncio.sleep(0.02)
                await c.db.write(partial(tell, kind="event", body=event("s", follows=None)))
                assert not await b.db.read(partial(select_untold, after=0))
                late.rollback()
            await waits
            assert await heard(there, 2) == "ls"


async def _blocked(on: Server) -> bool:
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    return bool((await on.db.read(lambda tx: tx.run_rows(asked, ())))[0][0])


async def test_an_event_sent_again_to_the_other_server_is_heard_once(database_url: str) -> None:
    async with servers(database_url) as (a, b):
        with (
            a.hub.events.subscription(lambda e: True) as here,
            b.hub.events.subscription(lambda e: True) as there,
        ):
            again = event("a")
            await a.streams.create_events([again], datetime.now(UTC))
            assert await heard(there, 1) == "a"
            await b.streams.create_events([again], datetime.now(UTC))
            await send(a, "b")
            await send(b, "c")
            for subscription in (here, there):
                assert sorted(await heard(subscription, 2 if subscription is there else 3)) == (
                    ["b", "c"] if subscription is there else ["a", "b", "c"]
                )


async def test_what_cannot_be_loaded_now_is_loaded_later(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True])

    def failing(real: Any) -> Any:
        def load(*args: Any, **kwargs: Any) -> Any:
            if next(failures, False):
                raise Unavailable("The database is away")
            return real(*args, **kwargs)

        return load

    for name in ("select_taken_in_events", "select_taken_in_logs"):
        monkeypatch.setattr(taken_in, name, failing(getattr(taken_in, name)))
    async with servers(database_url) as (a, b):
        with (
            b.hub.events.subscription(lambda e: True) as events,
            b.hub.logs.subscription(lambda e: True) as lines,
        ):
            await send(a, "ab")
            await log(a, "ab")
            assert await heard(events, 2) == "ab"
            assert await heard(lines, 2, "message") == "ab"


async def test_one_server_on_sqlite_leaves_no_rows(tmp_path: Any) -> None:
    async with server(sqlite_url(tmp_path)) as one:
        await send(one, "ab")
        await log(one, "ab")
        assert not any("INTO outbox" in s for s in one.statements)
        assert not await one.db.read(partial(select_untold, after=0))
