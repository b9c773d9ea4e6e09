"""The lists people look at most come from an index in order, however many runs there are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from penstock.contract.enums import FlowRunSort
from penstock.contract.rest.flow_runs import FlowRunsFilterBody
from penstock.core.ids import new_id
from penstock.store import flow_run_lists
from penstock.store.bulk_rows import insert_rows
from penstock.store.database import Database
from penstock.store.filter_scopes import scope_of
from penstock.store.statements import render
from penstock.store.tables import flow_run, state
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, tzinfo=UTC)
DEPLOYMENT = UUID(int=5)
COMPLETED = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
OF_DEPLOYMENT = {"flow_runs": {"deployment_id": {"any_": [str(DEPLOYMENT)]}}}


@pytest.fixture
async def db(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    await db.close()


def insert_completed_runs(tx: Transaction, count: int) -> None:
    runs, states = [], []
    for _ in range(count):
        id, state_id = new_id(NOW), new_id(NOW)
        run = {
            "id": id, "workspace_id": 1, "created": NOW, "updated": NOW, "name": "run",
            "flow_id": UUID(int=1), "deployment_id": DEPLOYMENT, "parameters": "{}",
            "context": "{}", "resuming": False, "tags": "[]", "labels": "{}",
            "state_id": state_id, "state_type": "COMPLETED", "state_name": "Completed",
            "state_timestamp": NOW, "run_count": 1, "expected_start_time": NOW,
            "start_time": NOW, "end_time": NOW, "total_run_time": 1.0, "auto_scheduled": False,
        }  # fmt: skip
        runs.append([run.get(c.name) for c in flow_run.c])
        values = {
            "run_id": id, "id": state_id, "type": "COMPLETED", "name": "Completed",
            "timestamp": NOW, "state_details": "{}",
        }  # fmt: skip
        states.append([values.get(c.name) for c in state.c])
    insert_rows(tx, flow_run, runs)
    insert_rows(tx, state, states)


def plan(tx: Transaction, body: dict[str, Any], sort: FlowRunSort) -> str:
    """How the database finds the ids of the first page."""
    scope = scope_of(FlowRunsFilterBody.model_validate(body))
    query = flow_run_lists._page_of_ids(tx, scope, sort, 200, 0)
    rendered = render(query, tx.dialect)
    explain = "EXPLAIN " if tx.is_postgres else "EXPLAIN QUERY PLAN "
    if tx.is_postgres:  # a small table is read whole and sorted: ask what a large one would need
        for way in ("seqscan", "bitmapscan", "sort"):
            tx.run_rows(f"SET LOCAL enable_{way} = off", None)
    return "\n".join(str(r) for r in tx.run_rows(explain + rendered.sql, rendered.arguments({})))


@pytest.mark.parametrize(
    ("body", "sort", "index"),
    [
        ({}, "ID_DESC", "sqlite_autoindex_flow_run_1|pk_flow_run"),
        ({}, "EXPECTED_START_TIME_DESC", "ix_flow_run_expected_start_time"),
        ({}, "START_TIME_DESC", "ix_flow_run_start_time"),
        ({}, "END_TIME_DESC", "ix_flow_run_end_time"),
        (COMPLETED, "EXPECTED_START_TIME_DESC", "ix_flow_run_state_type"),
        (OF_DEPLOYMENT, "EXPECTED_START_TIME_DESC", "ix_flow_run_deployment_id"),
    ],
)
async def test_a_page_comes_from_an_index_in_order(
    db: Database, body: dict[str, Any], sort: str, index: str
) -> None:
    found = await db.write(lambda tx: plan(tx, body, FlowRunSort(sort)))
    assert any(name in found for name in index.split("|")), found


async def test_a_common_state_is_walked_and_a_rare_one_collected(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if db.is_postgres:
        pytest.skip("PostgreSQL tells common from rare by its statistics")
    monkeypatch.setattr(flow_run_lists, "FEW", 20)
    await db.write(lambda tx: insert_completed_runs(tx, 20))
    rare = await db.read(lambda tx: plan(tx, COMPLETED, FlowRunSort.ID_DESC))
    assert "ix_flow_run_state_type" in rare
    await db.write(lambda tx: insert_completed_runs(tx, 1))
    common = await db.read(lambda tx: plan(tx, COMPLETED, FlowRunSort.ID_DESC))
    assert "sqlite_autoindex_flow_run_1" in common
    assert "TEMP B-TREE" not in common


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("sort", list(FlowRunSort))
async def test_both_ways_into_a_list_find_the_same_runs(
    db: Database, monkeypatch: pytest.MonkeyPatch, sort: FlowRunSort, few: int
) -> None:
    monkeypatch.setattr(flow_run_lists, "FEW", few)
    await db.write(lambda tx: insert_completed_runs(tx, 5))
    scopes: list[dict[str, Any]] = [
        COMPLETED,
        OF_DEPLOYMENT,
        {"flow_runs": {"expected_start_time": {"after_": NOW.isoformat()}}},
        {"flow_runs": COMPLETED["flow_runs"] | OF_DEPLOYMENT["flow_runs"]},
    ]
    for body in scopes:
        scope = scope_of(FlowRunsFilterBody.model_validate(body))
        page = await db.read(
            lambda tx, s=scope: flow_run_lists.page_flow_runs(tx, s, sort, 200, 0, NOW)
        )
        assert len(page) == 5
