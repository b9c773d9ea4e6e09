"""Statements of logs: lines in, filters, rows -> shape."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.engine.interfaces import Dialect

from penstock.contract.enums import LogSort, Operator
from penstock.contract.rest.logs import LogCreate, LogFilter
from penstock.core.ids import new_id
from penstock.core.search_texts import parse_search_text
from penstock.store.bulk_rows import insert_rows
from penstock.store.column_types import to_microseconds
from penstock.store.outbox import Told
from penstock.store.segment_tables import log
from penstock.store.segments import Segments, day_number, merged
from penstock.store.statements import POSTGRES, Row
from penstock.store.transaction import Transaction

#: bytes of a line's id that number it within its request
_NUMBER = 3
_SELECT: Select[Any] = select(*[c for c in log.c if c.name != "day"])


def new_numbering(now: datetime) -> bytes:
    """What the ids of lines received together begin with."""
    return new_id(now).bytes[:-_NUMBER]


def log_rows(
    lines: Sequence[LogCreate], now: datetime, dialect: Dialect, numbering: bytes | None = None
) -> list[Any]:
    """The rows of lines received together, as `insert_logs` wants them.

    Their ids keep them in the order they were sent in. Runs in the event loop, request by request:
    in the writer's thread it would take the interpreter from the loop for longer.
    """
    day = day_number(now)
    first = numbering or new_numbering(now)
    if dialect is POSTGRES:
        return [(day, *_fields(id, now, line)) for id, line in _numbered(lines, first)]
    received = to_microseconds(now)
    return [
        (
            day,
            first + i.to_bytes(_NUMBER, "big"),
            received,
            to_microseconds(line["timestamp"]),
            line["level"],
            _id_bytes(line.get("flow_run_id")),
            _id_bytes(line.get("task_run_id")),
            _text(line["name"]),
            _text(line["message"]),
        )
        for i, line in enumerate(lines)
    ]


def _id_bytes(id: UUID | None) -> bytes | None:
    return None if id is None else id.bytes


def _text(text: str) -> str:
    return text.replace("\0", "") if "\0" in text else text


def _numbered(lines: Sequence[LogCreate], first: bytes) -> Iterable[tuple[UUID, LogCreate]]:
    ids = (UUID(bytes=first + i.to_bytes(_NUMBER, "big")) for i in range(len(lines)))
    return zip(ids, lines, strict=True)


def _fields(id: UUID, received: datetime, line: LogCreate) -> tuple[Any, ...]:
    return (
        id,
        received,
        line["timestamp"],
        line["level"],
        line.get("flow_run_id"),
        line.get("task_run_id"),
        _text(line["name"]),
        _text(line["message"]),
    )


def insert_logs(tx: Transaction, rows: Sequence[Any], telling: Told | None = None) -> None:
    """Insert what `log_rows` made. On PostgreSQL `telling` goes into the outbox."""
    insert_rows(tx, log, rows, bound=True, telling=telling)


def log_shape(row: Row) -> dict[str, Any]:
    """A line as the wire has it. Lines are never changed: `updated` is `created`."""
    return {
        "id": row.id,
        "created": row.received,
        "updated": row.received,
        "name": row.name,
        "level": row.level,
        "message": row.message,
        "timestamp": row.timestamp,
        "flow_run_id": row.flow_run_id,
        "task_run_id": row.task_run_id,
    }


def live_log_shapes(lines: Sequence[LogCreate], numbering: bytes) -> list[dict[str, Any]]:
    """Lines as subscribers get them, before they are stored: so they have no stamps yet."""
    return [
        {
            "id": id,
            "created": None,
            "updated": None,
            "name": _text(line["name"]),
            "level": line["level"],
            "message": _text(line["message"]),
            "timestamp": line["timestamp"],
            "flow_run_id": line.get("flow_run_id"),
            "task_run_id": line.get("task_run_id"),
        }
        for id, line in _numbered(lines, numbering)
    ]


def page_logs(
    segments: Segments, filter: LogFilter | None, sort: LogSort, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the lines that match, in order of (timestamp, id)."""
    descending = sort is LogSort.TIMESTAMP_DESC
    order: list[Any] = [log.c.timestamp, log.c.id]
    query = _SELECT.order_by(*[c.desc() for c in order] if descending else order)
    condition = None if filter is None else where_logs(filter)
    if condition is not None:
        query = query.where(condition)
    rows = merged(segments, query, _key, descending=descending, limit=limit, offset=offset)
    return [log_shape(r) for r in rows]


def select_next_logs_of_run(
    segments: Segments, flow_run_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """A flow run's next lines after that (timestamp, id), in that order."""
    query = _SELECT.where(log.c.flow_run_id == flow_run_id)
    if after is not None:
        moment, id = after
        later = or_(log.c.timestamp > moment, log.c.id > id)
        query = query.where(log.c.timestamp >= moment, later)
    query = query.order_by(log.c.timestamp, log.c.id)
    return merged(segments, query, _key, descending=False, limit=limit, offset=0)


def _key(row: Row) -> tuple[datetime, UUID]:
    return row.timestamp, row.id


def where_logs(filter: LogFilter) -> ColumnElement[bool] | None:
    """The filter as a condition; None when it says nothing."""
    terms: list[ColumnElement[bool]] = []
    if filter.level is not None:
        terms += _between(log.c.level, filter.level.ge_, filter.level.le_)
    if filter.timestamp is not None:
        terms += _between(log.c.timestamp, filter.timestamp.after_, filter.timestamp.before_)
    if filter.flow_run_id is not None and filter.flow_run_id.any_ is not None:
        terms.append(log.c.flow_run_id.in_(filter.flow_run_id.any_))
    if filter.task_run_id is not None:
        if filter.task_run_id.any_ is not None:
            terms.append(log.c.task_run_id.in_(filter.task_run_id.any_))
        if filter.task_run_id.is_null_ is not None:
            is_null = log.c.task_run_id.is_(None)
            terms.append(is_null if filter.task_run_id.is_null_ else ~is_null)
    if filter.text is not None:
        terms += where_words(filter.text.query, log.c.message, log.c.name)
    if not terms:
        return None
    return or_(*terms) if filter.operator is Operator.or_ else and_(*terms)


def _between(column: Any, low: Any, high: Any) -> list[ColumnElement[bool]]:
    return ([] if low is None else [column >= low]) + ([] if high is None else [column <= high])


def where_words(query: str, *columns: Any) -> list[ColumnElement[bool]]:
    """Conditions for a search text; none when it holds no words."""
    searched: ColumnElement[str] = func.lower(columns[0])
    for column in columns[1:]:
        searched = searched + " " + func.lower(column)
    words = parse_search_text(query)
    terms: list[ColumnElement[bool]] = []
    if words.any_:
        terms.append(or_(*[_contains(searched, w) for w in words.any_]))
    terms += [_contains(searched, w) for w in words.all_]
    terms += [~_contains(searched, w) for w in words.none]
    return terms


def _contains(searched: ColumnElement[str], word: str) -> ColumnElement[bool]:
    for special in "/%_":
        word = word.replace(special, "/" + special)
    # both sides in lower case by the database's own idea of it
    return searched.like(func.lower(literal(f"%{word}%")), escape="/")
