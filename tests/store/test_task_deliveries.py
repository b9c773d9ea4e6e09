"""Deliveries to task workers whose task runs are gone cost no unit of work more than a few."""

from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from penstock.core.ids import new_id
from penstock.operations.task_deliveries import MAX_PASSED_OVER, Subscriber, take_task_run
from penstock.store.database import Database
from penstock.store.task_deliveries import FIRST, insert_delivery, select_next_delivery
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


async def test_many_task_runs_that_are_gone_are_passed_over_in_parts(db: Database) -> None:
    def deliver(tx: Transaction) -> None:
        for _ in range(MAX_PASSED_OVER + 1):
            insert_delivery(tx, uuid4(), "k", FIRST, NOW, NOW)

    await db.write(deliver)
    subscriber = Subscriber(new_id(NOW), "host", ["k"])
    take = partial(take_task_run, subscriber=subscriber, now=NOW)
    look = partial(select_next_delivery, task_keys=["k"])
    assert await db.write(take) is None
    assert await db.read(look) is not None  # so it is looked again at once
    assert await db.write(take) is None
    assert await db.read(look) is None
