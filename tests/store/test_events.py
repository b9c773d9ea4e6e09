"""Events are found by what they are and what they have to do with; live and stored alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from penstock.contract.rest.events import EventFilter
from penstock.core.event_rules import event_test
from penstock.store.database import Database
from penstock.store.events import (
    EventKey,
    count_events,
    count_events_by_name,
    count_events_by_resource,
    count_events_in_spans,
    event_rows,
    insert_events,
    page_events,
)
from penstock.store.segments import EVENTS, SegmentStore, open_segments

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def event(
    number: int, event_name: str, resource: str, *related: tuple[str, str], **labels: str
) -> dict[str, Any]:
    return {
        "id": UUID(int=number),
        "occurred": NOW + timedelta(seconds=number),
        "event": event_name,
        "resource": {"prefect.resource.id": resource} | labels,
        "related": [
            {"prefect.resource.id": id, "prefect.resource.role": role} for id, role in related
        ],
        "payload": {"disk": "full"} if number == 3 else {},
        "follows": None,
    }


EVENTS_MADE = [
    event(1, "prefect.flow-run.Running", "prefect.flow-run.a", ("prefect.flow.f", "flow")),
    event(2, "prefect.flow-run.Completed", "prefect.flow-run.a", ("prefect.flow.f", "flow")),
    event(3, "prefect.task-run.Running", "prefect.task-run.t", ("prefect.flow-run.a", "flow-run")),
    event(4, "Other.100%", "other[1]", ("prefect.flow.g", "flow"), kind="Big", name="O"),
    event(5, "other", "else", ("prefect.flow.f", "origin"), ("x", "flow"), kind="big"),
]
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "12345"),
    ({"event": {"prefix": ["prefect.flow-run"]}}, "12"),
    ({"event": {"exclude_prefix": ["prefect."], "exclude_name": ["other"]}}, "4"),
    ({"event": {"name": ["other"]}}, "5"),
    ({"resource": {"id": ["prefect.flow-run.a", "else"]}}, "125"),
    ({"resource": {"id_prefix": ["prefect."]}}, "123"),
    ({"resource": {"labels": {"kind": "Big"}}}, "4"),
    ({"resource": {"labels": {"kind": ["B*", "!Bi"]}}}, "4"),
    ({"resource": {"labels": {"kind": "!big"}}}, "4"),
    ({"resource": {"labels": {"prefect.resource.id": "other[*"}}}, "4"),
    ({"resource": {"labels": {"prefect.resource.id": ["*flow-run*", "else"]}}}, "125"),
    ({"related": {"id": ["prefect.flow.f"]}}, "125"),
    ({"related": {"id": ["prefect.flow.f"], "role": ["flow"]}}, "12"),
    ({"related": {"role": ["flow-run"]}}, "3"),
    ({"related": [{"id": ["prefect.flow.f"]}, {"id": ["x"]}]}, "5"),
    ({"related": {"resources_in_roles": [["prefect.flow.g", "flow"], ["x", "origin"]]}}, "4"),
    ({"related": {"labels": {"prefect.resource.id": "prefect.flow.*"}}}, "1245"),
    ({"any_resource": {"id": ["prefect.flow-run.a"]}}, "123"),
    ({"any_resource": {"id_prefix": ["prefect.flow."]}}, "1245"),
    ({"any_resource": {"labels": {"kind": "big"}}}, "5"),
    ({"id": {"id": [str(UUID(int=2)), str(UUID(int=9))]}}, "2"),
    ({"occurred": {"since": NOW + timedelta(seconds=4)}}, "45"),
    ({"occurred": {"until": NOW + timedelta(seconds=2)}}, "12"),
    ({"text": {"query": "FULL completed"}}, "23"),
    ({"text": {"query": "+task-run +disk"}}, "3"),
]


@asynccontextmanager
async def stored(url: str, days: int = 1) -> AsyncIterator[SegmentStore]:
    """The events above, received on so many days in turn."""
    db = await Database.open(url)
    store = await open_segments(db, EVENTS)
    for i, one in enumerate(EVENTS_MADE):
        received = NOW + timedelta(days=i % days)
        rows = event_rows(store, [one], received)
        await store.write(partial(insert_events, rows=rows), received)
    yield store
    await store.close()
    await db.close()


async def numbers(store: SegmentStore, wanted: EventFilter, limit: int = 50) -> str:
    rows = await store.read(partial(page_events, filter=wanted, limit=limit))
    return "".join(str(row.id.int) for row in rows)


async def test_each_filter_finds_its_events_stored(database_url: str) -> None:
    async with stored(database_url) as store:
        for filter, expected in FILTERS:
            parsed = EventFilter.model_validate({"order": "ASC"} | filter)
            assert await numbers(store, parsed) == expected, filter
            assert await store.read(partial(count_events, filter=parsed)) == len(expected)


@pytest.mark.parametrize(("filter", "expected"), FILTERS)
def test_each_filter_finds_its_events_live(filter: dict[str, Any], expected: str) -> None:
    wants = event_test(EventFilter.model_validate(filter))
    assert "".join(str(e["id"].int) for e in EVENTS_MADE if wants(e)) == expected


async def test_pages_follow_one_another_over_all_days(database_url: str) -> None:
    async with stored(database_url, days=3) as store:
        seen, after = "", None
        while True:
            page = partial(page_events, filter=EventFilter(), limit=2, after=after)
            rows = await store.read(page)
            if not rows:
                break
            seen += "".join(str(row.id.int) for row in rows)
            after = EventKey(rows[-1].occurred, rows[-1].id)
        assert seen == "54321"


async def test_only_the_newest_event_of_each_resource_where_asked(database_url: str) -> None:
    wanted = EventFilter.model_validate({"resource": {"distinct": True}, "order": "ASC"})
    async with stored(database_url) as store:
        assert await numbers(store, wanted) == "2345"
        assert await store.read(partial(count_events, filter=wanted)) == 4


async def test_an_event_received_again_is_kept_once(database_url: str) -> None:
    async with stored(database_url, days=2) as store:
        for received in (NOW, NOW + timedelta(days=1)):
            rows = event_rows(store, EVENTS_MADE, received)
            await store.write(partial(insert_events, rows=rows), received)
        wanted = EventFilter.model_validate({"order": "ASC"})
        assert await numbers(store, wanted) == "12345"


async def test_events_are_counted_by_name_resource_and_time(database_url: str) -> None:
    async with stored(database_url, days=2) as store:
        by_name = await store.read(partial(count_events_by_name, filter=EventFilter()))
        assert {g.value: g.count for g in by_name}["other"] == 1
        by_resource = await store.read(partial(count_events_by_resource, filter=EventFilter()))
        first = by_resource[0]
        assert (first.value, first.count) == ("prefect.flow-run.a", 2)
        assert first.end_time - first.start_time == timedelta(seconds=1)
        spans = partial(
            count_events_in_spans,
            filter=EventFilter(),
            start=NOW,
            span=timedelta(seconds=2),
            spans=4,
        )
        assert await store.read(spans) == [1, 2, 2, 0]
