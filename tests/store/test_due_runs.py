"""A poll walks one index, however many runs wait, and costs one statement when nothing is due."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from penstock.contract.rest.work_pools import WorkPoolCreate
from penstock.operations.work_pools import create_work_pool
from penstock.store import due_runs
from penstock.store.database import Database
from penstock.store.due_runs import page_due_runs
from penstock.store.statements import Statement
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, tzinfo=UTC)


async def make_pool(db: Database) -> None:
    body = WorkPoolCreate(name="pool", type="process")
    await db.write(partial(create_work_pool, body=body, now=NOW))


def plan(tx: Transaction, statement: Statement, **params: object) -> str:
    rendered = statement.render(tx.dialect)
    explain = "EXPLAIN " if tx.is_postgres else "EXPLAIN QUERY PLAN "
    if tx.is_postgres:  # an empty table is read whole: ask what a large one would need
        for way in ("seqscan", "bitmapscan", "sort"):
            tx.run_rows(f"SET LOCAL enable_{way} = off", None)
    rows = tx.run_rows(explain + rendered.sql, rendered.arguments(params))
    return "\n".join(str(row) for row in rows)


async def test_due_runs_come_from_their_index_in_order(db: Database) -> None:
    def read(tx: Transaction) -> str:
        bounds = {"queue_id": due_runs_queue_id, "before": NOW, "after": NOW, "rows": 200}
        return plan(tx, due_runs._due_in_queue(True, True), **bounds)

    await make_pool(db)
    pool = partial(
        page_due_runs, pool="pool", queue_names=None, before=NOW, after=None, limit=200, now=NOW
    )
    due_runs_queue_id = (await db.read(pool)).queue_ids[0]
    found = await db.write(read)
    assert "ix_flow_run_due" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


async def test_when_the_first_run_is_due_comes_from_the_same_index(db: Database) -> None:
    found = await db.write(lambda tx: plan(tx, due_runs._SELECT_QUEUES, pool="pool"))
    assert "ix_flow_run_due" in found


async def test_a_poll_that_finds_nothing_is_one_statement(db: Database) -> None:
    def poll(tx: Transaction) -> int:
        later = NOW + timedelta(seconds=10)
        found = page_due_runs(tx, "pool", None, later, None, 200, NOW)
        assert (found.runs, len(found.queue_ids), found.next_at) == ([], 1, None)
        return tx.statements

    await make_pool(db)
    assert await db.read(poll) == 1
