"""Log lines come back as they went in, whatever day they were received on."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from pydantic import TypeAdapter

from penstock.contract.enums import LogSort
from penstock.contract.rest.logs import LogCreate, LogFilter
from penstock.store.database import Database
from penstock.store.logs import insert_logs, log_rows, page_logs
from penstock.store.segments import LOGS, SegmentStore, forget_old_segments, open_segments

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 23, 59, 58, tzinfo=UTC)
LINE = TypeAdapter(LogCreate)
RUN, TASK = UUID(int=1), UUID(int=2)


def line(message: str, seconds: float = 0, **fields: object) -> LogCreate:
    values = {"name": "penstock.flow_runs", "level": 20, "message": message}
    at = NOW + timedelta(seconds=seconds)
    return LINE.validate_python(values | {"timestamp": at, "flow_run_id": RUN} | fields)


async def store(logs: SegmentStore, *lines: LogCreate, now: datetime = NOW) -> None:
    rows = log_rows(lines, now, logs.dialect)
    await logs.write(partial(insert_logs, rows=rows), now)


async def messages(logs: SegmentStore, limit: int = 200, offset: int = 0, **filter: object) -> str:
    sort = LogSort(str(filter.pop("sort", "TIMESTAMP_ASC")))
    parsed = LogFilter.model_validate(filter)
    page = partial(page_logs, filter=parsed, sort=sort, limit=limit, offset=offset)
    return "".join(shape["message"] for shape in await logs.read(page))


async def test_lines_of_several_days_make_one_list(database_url: str) -> None:
    db = await Database.open(database_url)
    logs = await open_segments(db, LOGS)
    await store(logs, line("a"), line("b"))
    await store(logs, line("d", 2), line("f", 4), now=NOW + timedelta(days=1))
    await store(logs, line("c", 1), line("e", 3), now=NOW + timedelta(days=2))
    assert await messages(logs) == "abcdef"
    assert await messages(logs, limit=3, offset=2) == "cde"
    assert await messages(logs, sort="TIMESTAMP_DESC", limit=2, offset=1) == "ed"
    await logs.close()
    await db.close()


async def test_each_criterion_selects_its_lines(database_url: str) -> None:
    db = await Database.open(database_url)
    logs = await open_segments(db, LOGS)
    await store(
        logs,
        line("a"),
        line("b", 1, level=40, task_run_id=TASK),
        line("c", 2, flow_run_id=uuid4()),
        line("No space left 100% full", 3, flow_run_id=None),
    )
    assert await messages(logs, level={"ge_": 30}) == "b"
    assert await messages(logs, level={"le_": 30}, flow_run_id={"any_": [str(RUN)]}) == "a"
    assert await messages(logs, task_run_id={"any_": [str(TASK)]}) == "b"
    assert await messages(logs, task_run_id={"is_null_": True}, limit=2) == "ac"
    since = (NOW + timedelta(seconds=2)).isoformat()
    assert await messages(logs, timestamp={"after_": since}) == "cNo space left 100% full"
    for query in ("SPACE", '"left 100%" -debug', "+no +full", "other full"):
        assert await messages(logs, text={"query": query}) == "No space left 100% full"
    for query in ("left_100", "+no +other", "space -full"):
        assert await messages(logs, text={"query": query}) == ""
    either = {"level": {"ge_": 30}, "flow_run_id": {"any_": [str(uuid4())]}, "operator": "or_"}
    assert await messages(logs, **either) == "b"
    await logs.close()
    await db.close()


async def test_old_days_are_forgotten_whole(database_url: str) -> None:
    db = await Database.open(database_url)
    logs = await open_segments(db, LOGS)
    await store(logs, line("a"))
    await store(logs, line("b", 1), now=NOW + timedelta(days=1))
    await store(logs, line("c", 2), now=NOW + timedelta(days=3))
    assert await messages(logs) == "abc"
    assert await forget_old_segments(logs, NOW + timedelta(days=3), keep_days=2) == 1
    assert await messages(logs) == "bc"
    await logs.close()
    await db.close()


async def test_stored_lines_are_there_when_the_store_is_opened_again(database_url: str) -> None:
    for first in (True, False):
        db = await Database.open(database_url)
        logs = await open_segments(db, LOGS)
        if first:
            await store(logs, *[line("x", i) for i in range(700)])
        else:
            assert await messages(logs, limit=200) == "x" * 200
            assert await messages(logs, limit=200, offset=600) == "x" * 100
        await logs.close()
        await db.close()


async def test_nul_in_a_line_is_dropped(database_url: str) -> None:
    db = await Database.open(database_url)
    logs = await open_segments(db, LOGS)
    await store(logs, line("a\0b"))
    assert await messages(logs) == "ab"
    await logs.close()
    await db.close()
