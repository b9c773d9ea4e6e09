"""Leases that run out: only those, only once, whoever else ends or renews them meanwhile."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from penstock.core.errors import Gone
from penstock.operations.concurrency_limits import Lease, release_lease, renew, take_slots
from penstock.services.repossessor import CHUNK, end_expired_leases, repossess_slots
from penstock.store.concurrency_limits import insert_limit, select_limit
from penstock.store.database import Database
from penstock.store.statements import Row

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(seconds=60)


@pytest.fixture
async def db(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    values = {"name": "a", "limit": 200}
    await db.write(partial(insert_limit, values=values, now=NOW))
    yield db
    await db.close()


async def lease(db: Database, duration: timedelta = MINUTE) -> UUID:
    taken = await db.write(
        partial(take_slots, names=["a"], slots=1, now=NOW, lease=Lease(duration))
    )
    assert taken.lease_id is not None
    return taken.lease_id


async def limit(db: Database) -> Row:
    row = await db.read(partial(select_limit, id_or_name="a"))
    assert row is not None
    return row


async def test_only_what_has_run_out_is_taken_back(db: Database) -> None:
    await lease(db)
    await lease(db, 2 * MINUTE)
    renewed = await lease(db)
    await db.write(partial(renew, lease_id=renewed, duration=2 * MINUTE, now=NOW))
    assert await repossess_slots(db, NOW + MINUTE) == 1
    assert (await limit(db)).active_slots == 2
    assert await repossess_slots(db, NOW + MINUTE) == 0
    assert await repossess_slots(db, NOW + 2 * MINUTE) == 2
    assert (await limit(db)).active_slots == 0


async def test_what_was_renewed_or_released_meanwhile_is_left_alone(db: Database) -> None:
    renewed, released = await lease(db), await lease(db)
    later = NOW + MINUTE - timedelta(seconds=1)
    await db.write(partial(renew, lease_id=renewed, duration=MINUTE, now=later))
    await db.write(partial(release_lease, lease_id=released, now=later))
    # as found by a pass that looked before
    end = partial(end_expired_leases, lease_ids=[renewed, released], now=NOW + MINUTE)
    assert await db.write(end) == 0
    assert (await limit(db)).active_slots == 1


async def test_what_has_run_out_is_renewed_while_nobody_has_taken_it_back(db: Database) -> None:
    kept = await lease(db)  # its server was away for long, its holder was not
    renewal = partial(renew, lease_id=kept, duration=MINUTE, now=NOW + 10 * MINUTE)
    await db.write(renewal)
    assert await repossess_slots(db, NOW + 10 * MINUTE) == 0
    assert (await limit(db)).active_slots == 1
    assert await repossess_slots(db, NOW + 11 * MINUTE) == 1
    with pytest.raises(Gone):
        await db.write(renewal)


async def test_many_come_back_in_one_pass_and_their_time_is_booked(db: Database) -> None:
    for _ in range(CHUNK + 5):
        await lease(db)
    assert await repossess_slots(db, NOW + 10 * MINUTE) == CHUNK + 5
    row = await limit(db)
    assert row.active_slots == 0
    assert row.avg_slot_occupancy_seconds > 30
