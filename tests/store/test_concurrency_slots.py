"""Slots of limits: granted once, never beyond a limit, all given back."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest

from penstock.contract.enums import SetStateStatus
from penstock.contract.rest.task_runs import TaskRunCreate
from penstock.core.decisions import Decision
from penstock.core.states import StateType, make_state
from penstock.operations.concurrency_limits import release_tag_slots, take_tag_slots
from penstock.operations.task_run_changes import create_task_run
from penstock.operations.task_run_states import set_task_run_state
from penstock.store.concurrency_limits import insert_limit, select_limit
from penstock.store.database import Database
from penstock.store.run_removal import delete_task_run
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def db(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    await db.close()


async def make_limit(db: Database, name: str, limit: int) -> None:
    await db.write(partial(insert_limit, values={"name": name, "limit": limit}, now=NOW))


async def slots_of(db: Database, name: str) -> int:
    row = await db.read(partial(select_limit, id_or_name=name))
    assert row is not None
    return int(row.active_slots)


async def test_a_task_run_takes_a_slot_of_all_its_tags_or_of_none(db: Database) -> None:
    await make_limit(db, "tag:a", 2)
    await make_limit(db, "tag:b", 1)
    first, second = uuid4(), uuid4()

    async def take(run: UUID, *tags: str) -> Decision:
        return await db.write(partial(take_tag_slots, task_run_id=run, tags=tags, now=NOW))

    assert (await take(first, "a", "b", "c")).status is SetStateStatus.ACCEPT
    assert (await take(first, "a", "b")).status is SetStateStatus.ACCEPT  # asked again
    assert (await slots_of(db, "tag:a"), await slots_of(db, "tag:b")) == (1, 1)
    denied = await take(second, "a", "b")
    assert denied.status is SetStateStatus.WAIT
    assert denied.delay_seconds is not None
    assert 1 <= denied.delay_seconds <= 13
    assert await slots_of(db, "tag:a") == 1
    for _ in range(2):
        later = NOW + timedelta(seconds=5)
        await db.write(partial(release_tag_slots, task_run_id=first, now=later))
    assert (await slots_of(db, "tag:a"), await slots_of(db, "tag:b")) == (0, 0)
    assert (await take(second, "a", "b")).status is SetStateStatus.ACCEPT


async def test_a_tag_without_slots_lets_no_task_run_start(db: Database) -> None:
    await make_limit(db, "tag:a", 0)

    def take(tx: Transaction) -> Decision:
        return take_tag_slots(tx, uuid4(), ["a"], NOW)

    assert (await db.write(take)).status is SetStateStatus.ABORT


async def test_a_task_run_that_is_deleted_while_it_starts_leaves_no_slot(db: Database) -> None:
    await make_limit(db, "tag:a", 1)
    body = TaskRunCreate(task_key="k", dynamic_key="0", tags=["a"])
    made, _ = await db.write(partial(create_task_run, body=body, now=NOW))
    written, go = threading.Event(), threading.Event()

    def start_slowly(tx: Transaction) -> None:
        running = make_state(StateType.RUNNING, NOW)
        set_task_run_state(tx, made["id"], running, NOW, draw=0.5)
        written.set()
        assert go.wait(10)

    start = asyncio.create_task(db.write(start_slowly))
    await asyncio.to_thread(written.wait, 10)
    deletion = asyncio.create_task(db.write(partial(delete_task_run, id=made["id"])))
    await asyncio.wait([deletion], timeout=0.3)
    go.set()
    await start
    assert await deletion
    assert await slots_of(db, "tag:a") == 0
