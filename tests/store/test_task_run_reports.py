"""The recorder: reports of clients become task runs and states, whatever order they come in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from penstock.core.errors import Gone
from penstock.core.task_run_reports import TaskRunReport, read_task_run_report
from penstock.operations.task_runs import record_task_run_events
from penstock.store.database import Database
from penstock.store.states import select_task_run_states
from penstock.store.task_runs import select_task_runs_by_ids, select_task_runs_by_keys
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FLOW_RUN, TASK_RUN = UUID(int=1), UUID(int=2)
STATES = [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")]


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url)
    yield database
    await database.close()


def report(
    number: int,
    *,
    flow_run: UUID | None = FLOW_RUN,
    task_run: UUID = TASK_RUN,
    dynamic_key: str = "0",
    **said: Any,
) -> TaskRunReport:
    """The report of the state of that number."""
    type, name = STATES[number]
    related = []
    if flow_run is not None:
        related.append(
            {
                "prefect.resource.id": f"prefect.flow-run.{flow_run}",
                "prefect.resource.role": "flow-run",
            }
        )
    keys = {"task_key": "t-1", "dynamic_key": dynamic_key, "run_count": number}
    event = {
        "id": UUID(int=task_run.int * 100 + number),
        "occurred": NOW + timedelta(seconds=number),
        "event": f"prefect.task-run.{name}",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{task_run}",
            "prefect.orchestration": "client",
        },
        "related": related,
        "payload": {
            "validated_state": {"type": type, "name": name, "message": f"m{number}"},
            "task_run": keys | said,
        },
    }
    found = read_task_run_report(event)
    assert found is not None
    return found


def history(tx: Transaction, id: UUID = TASK_RUN) -> tuple[Any, str]:
    row = select_task_runs_by_ids(tx, [id])[0]
    return row, "".join(s["name"][0] for s in select_task_run_states(tx, id))


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_reports_in_any_order_end_in_one_history(
    db: Database, order: tuple[int, ...]
) -> None:
    for number in order:
        record = partial(record_task_run_events, reports=[report(number)], now=NOW)
        await db.write(record)
        await db.write(record)  # sent again: nothing changes
    row, states = await db.read(history)
    assert (row.state_name, row.run_count, states) == ("Completed", 2, "PRC")
    assert row.state_id == UUID(int=202)
    assert row.flow_run_id == FLOW_RUN


async def test_reports_of_one_request_are_recorded_together(db: Database) -> None:
    said = {"name": "t", "tags": ["b", "a"], "task_inputs": {"x": []}}
    reports = [report(2), report(0, **said), report(1)]
    reports += [report(0, task_run=UUID(int=9), dynamic_key="1")]
    await db.write(partial(record_task_run_events, reports=reports, now=NOW))
    row, states = await db.read(history)
    assert (row.name, row.tags, row.task_inputs) == ("t", '["b","a"]', '{"x":[]}')
    assert (row.state_name, states) == ("Completed", "PRC")
    other, states = await db.read(partial(history, id=UUID(int=9)))
    assert (other.name, states) == ("t-1", "P")


async def test_a_task_run_known_by_its_keys_keeps_its_id(db: Database) -> None:
    await db.write(partial(record_task_run_events, reports=[report(0)], now=NOW))
    again = report(1, task_run=UUID(int=7))
    await db.write(partial(record_task_run_events, reports=[again], now=NOW))
    row, states = await db.read(history)
    assert (row.state_name, states) == ("Running", "PR")
    assert await db.read(partial(select_task_runs_by_ids, ids=[UUID(int=7)])) == []


async def test_a_task_run_outside_flow_runs_is_known_by_its_id(db: Database) -> None:
    for number in (0, 1):
        alone = report(number, flow_run=None)
        await db.write(partial(record_task_run_events, reports=[alone], now=NOW))
    row, states = await db.read(history)
    assert (row.flow_run_id, row.state_name, states) == (None, "Running", "PR")


async def test_reports_of_an_attempt_pass_when_the_flow_run_is_not_known(db: Database) -> None:
    unit = partial(record_task_run_events, reports=[report(0)], now=NOW, attempt=UUID(int=5))
    await db.write(unit)
    assert (await db.read(history))[1] == "P"


async def test_a_thousand_tasks_are_recorded_in_six_requests(db: Database) -> None:
    reports = [
        report(number, task_run=UUID(int=1000 + task), dynamic_key=str(task))
        for task in range(1000)
        for number in range(3)
    ]
    for start in range(0, 3000, 500):
        part = reports[start : start + 500]
        await db.write(partial(record_task_run_events, reports=part, now=NOW))
    row, states = await db.read(partial(history, id=UUID(int=1999)))
    assert (row.state_name, states) == ("Completed", "PRC")


async def test_a_lost_attempt_is_refused(db: Database) -> None:
    from penstock.store.task_runs import flow_run

    def insert(tx: Transaction) -> None:
        from sqlalchemy import insert as insert_into

        times = dict.fromkeys(("created", "updated", "state_timestamp", "end_time"), NOW)
        texts = {"name": "r", "state_type": "CRASHED", "state_name": "Crashed"}
        documents = {"parameters": "{}", "context": "{}", "tags": "[]", "labels": "{}"}
        ids = {"id": FLOW_RUN, "flow_id": UUID(int=3), "state_id": UUID(int=4)}
        others = {"resuming": False, "run_count": 1, "total_run_time": 0, "auto_scheduled": False}
        held = {"attempt_id": UUID(int=5), "attempt_expires_at": None}
        values = times | texts | documents | ids | others | held
        tx.run(insert_into(flow_run).values(**values))

    await db.write(insert)
    for attempt in (UUID(int=5), UUID(int=6)):
        unit = partial(record_task_run_events, reports=[report(0)], now=NOW, attempt=attempt)
        with pytest.raises(Gone):
            await db.write(unit)
    assert await db.read(partial(select_task_runs_by_ids, ids=[TASK_RUN])) == []


async def test_a_report_is_found_by_its_whole_key_not_by_reading_its_flow_run(
    db: Database,
) -> None:
    if db.is_postgres:
        pytest.skip("PostgreSQL chooses by its statistics")
    seen: list[str] = []

    def plan_of(tx: Transaction) -> list[str]:
        tx._listener = seen.append
        select_task_runs_by_keys(tx, FLOW_RUN, [("t-1", "0")])
        plan = tx.run_rows("EXPLAIN QUERY PLAN " + seen[0], (FLOW_RUN.bytes, "$[0]", "$[1]", "[]"))
        return [line[3] for line in plan]

    plan = await db.read(plan_of)
    assert any("flow_run_id=? AND task_key=? AND dynamic_key=?" in step for step in plan)
