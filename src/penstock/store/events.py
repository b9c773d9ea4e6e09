"""Statements of events: in, filtered, counted; rows <-> shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, and_, extract, func, literal, or_, select, type_coerce

from penstock.contract.enums import EventOrder
from penstock.contract.rest.events import EventFilter
from penstock.core import documents
from penstock.core.event_rules import ID, ROLE
from penstock.store.bulk_rows import bind_rows, insert_rows
from penstock.store.column_types import Time, to_microseconds
from penstock.store.event_conditions import INDEXED_CHARACTERS, where_events
from penstock.store.outbox import Told
from penstock.store.segment_tables import event, event_resource
from penstock.store.segments import Segments, SegmentStore, day_number, merged
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

_ONCE = "ON CONFLICT DO NOTHING"
_MAX_ROLE = 100


@dataclass(slots=True)
class EventRows:
    """One event's rows, as `insert_events` wants them."""

    event: Any
    resources: list[Any]


def event_rows(
    store: SegmentStore, events: Sequence[Mapping[str, Any]], now: datetime
) -> list[EventRows]:
    """The rows of events received together (as the wire has them)."""
    day = day_number(now)
    rows = bind_rows(event, [_values(e, day, now) for e in events], store.dialect)
    return [EventRows(row, _resources(e, row)) for row, e in zip(rows, events, strict=True)]


def _values(e: Mapping[str, Any], day: int, now: datetime) -> tuple[Any, ...]:
    return (
        day,
        e["id"],
        e["occurred"],
        now,
        e["event"],
        e["resource"][ID],
        e.get("follows"),
        documents.dump(e["resource"]),
        documents.dump(e["related"]),
        documents.dump(e["payload"]),
    )


def _resources(e: Mapping[str, Any], row: Sequence[Any]) -> list[tuple[Any, ...]]:
    day, id, occurred = row[:3]  # as the driver takes them already
    rows = [(e["resource"][ID][:INDEXED_CHARACTERS], "", occurred, id, day)]
    for r in e["related"]:
        rows.append((r[ID][:INDEXED_CHARACTERS], r[ROLE][:_MAX_ROLE], occurred, id, day))
    return rows


def insert_events(tx: Transaction, rows: Sequence[EventRows], telling: Told | None = None) -> None:
    """Insert what `event_rows` made; an event that is there already is left as it is.

    On PostgreSQL `telling` goes into the outbox.
    """
    insert_rows(tx, event, [r.event for r in rows], tail=_ONCE, bound=True, telling=telling)
    resources = [resource for r in rows for resource in r.resources]
    insert_rows(tx, event_resource, resources, tail=_ONCE, bound=True)


def event_shape(row: Row) -> dict[str, Any]:
    """ReceivedEvent for a row."""
    return {
        "occurred": row.occurred,
        "event": row.name,
        "resource": documents.Fragment(row.resource),
        "related": documents.Fragment(row.related),
        "payload": documents.Fragment(row.payload),
        "id": row.id,
        "follows": row.follows,
        "received": row.received,
    }


# ------------------------------------------------------------------ pages


@dataclass(slots=True)
class EventKey:
    """A place in the order of events."""

    occurred: datetime
    id: UUID


def page_events(
    segments: Segments, filter: EventFilter, limit: int, after: EventKey | None = None
) -> list[Row]:
    """The next rows that match, in the filter's order, behind a place in it."""
    descending = filter.order is EventOrder.DESC
    query: Select[Any] = select(*[c for c in event.c if c.name != "day"])
    conditions = where_events(filter, segments[0].dialect) if segments else []
    if filter.resource is not None and filter.resource.distinct:
        query = _newest_of_each(query, conditions)
    else:
        query = query.where(*conditions)
    columns = query.selected_columns
    order: list[Any] = [columns.occurred, columns.id]
    if after is not None:
        query = query.where(_behind(columns, after, descending))
    query = query.order_by(*[c.desc() for c in order] if descending else order)
    rows = merged(segments, query, _key, descending=descending, limit=limit + 1, offset=0)
    return list(islice(_once(rows), limit))


def _key(row: Row) -> tuple[datetime, UUID]:
    return row.occurred, row.id


def _once(rows: list[Row]) -> list[Row]:
    """Without an event that was received again after midnight."""
    return list({row.id: row for row in rows}.values())


def _behind(columns: Any, after: EventKey, descending: bool) -> Any:
    if descending:
        later = columns.id < after.id
        return or_(
            columns.occurred < after.occurred, and_(columns.occurred == after.occurred, later)
        )
    later = columns.id > after.id
    return or_(columns.occurred > after.occurred, and_(columns.occurred == after.occurred, later))


def _newest_of_each(query: Select[Any], conditions: list[Any]) -> Select[Any]:
    place = func.row_number().over(
        partition_by=event.c.resource_id, order_by=(event.c.occurred.desc(), event.c.id.desc())
    )
    newest = query.add_columns(place.label("place")).where(*conditions).subquery("newest")
    return select(*[c for c in newest.c if c.name != "place"]).where(newest.c.place == 1)


def count_events(segments: Segments, filter: EventFilter) -> int:
    """How many events match (resources, where only each one's newest event is asked for)."""
    if not segments:
        return 0
    conditions = where_events(filter, segments[0].dialect)
    if filter.resource is not None and filter.resource.distinct:
        ids = select(event.c.resource_id).where(*conditions).distinct()
        return len({r.resource_id for s in segments for r in s.rows(ids)})
    count = select(func.count().label("n")).select_from(event).where(*conditions)
    return sum(s.value(count) for s in segments)


# ------------------------------------------------------------------ groups


@dataclass(slots=True)
class EventGroup:
    """Events that have one thing in common."""

    value: str
    label: str
    count: int
    start_time: datetime
    end_time: datetime


def count_events_by_name(segments: Segments, filter: EventFilter) -> list[EventGroup]:
    """How many events of each name match, most first."""
    return _grouped(segments, filter, event.c.name, event.c.name)


def count_events_by_resource(segments: Segments, filter: EventFilter) -> list[EventGroup]:
    """How many events about each resource match, most first; the label is the resource's name."""
    groups = _grouped(segments, filter, event.c.resource_id, func.max(event.c.resource))
    for group in groups:
        labels = documents.load(group.label)
        group.label = labels.get("prefect.resource.name") or group.value
    return groups


def _grouped(segments: Segments, filter: EventFilter, by: Any, label: Any) -> list[EventGroup]:
    groups: dict[str, EventGroup] = {}
    for segment in segments:
        query = (
            select(
                by.label("value"),
                label.label("label"),
                func.count().label("n"),
                func.min(event.c.occurred, type_=Time()).label("first"),
                func.max(event.c.occurred, type_=Time()).label("last"),
            )
            .where(*where_events(filter, segment.dialect))
            .group_by(by)
        )
        for row in segment.rows(query):
            known = groups.get(row.value)
            if known is None:
                groups[row.value] = EventGroup(row.value, row.label, row.n, row.first, row.last)
                continue
            known.count += row.n
            known.start_time = min(known.start_time, row.first)
            known.end_time = max(known.end_time, row.last)
    return sorted(groups.values(), key=lambda g: (-g.count, g.value))


def count_events_in_spans(
    segments: Segments, filter: EventFilter, start: datetime, span: timedelta, spans: int
) -> list[int]:
    """How many events match in each of so many spans of time that follow one another."""
    counts = [0] * spans
    for segment in segments:
        number = _span_number(segment, start, span).label("number")
        within = (event.c.occurred >= start, event.c.occurred < start + span * spans)
        query = (
            select(number, func.count().label("n"))
            .where(*where_events(filter, segment.dialect), *within)
            .group_by(number)
        )
        for row in segment.rows(query):
            counts[int(row.number)] += row.n
    return counts


def _span_number(segment: Transaction, start: datetime, span: timedelta) -> Any:
    if segment.is_postgres:
        # in microseconds, as whole numbers: a span's edges are exact
        passed = extract("epoch", event.c.occurred - literal(start)) * 1_000_000
        return func.div(passed, span // timedelta(microseconds=1))
    microseconds = type_coerce(event.c.occurred, BigInteger) - to_microseconds(start)
    return microseconds // (span // timedelta(microseconds=1))
