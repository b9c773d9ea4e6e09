"""What clients sent to one of several servers on PostgreSQL, told to the others by its place.

The statement that stores such a batch leaves one small row in the outbox: who took it in and where
it is stored. A server with listeners finds it there. On SQLite there are no others.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from penstock.core import documents
from penstock.store.events import EventRows, insert_events
from penstock.store.logs import insert_logs
from penstock.store.outbox import Told
from penstock.store.transaction import Transaction

TAKEN_IN_EVENTS = "taken-in-events"
TAKEN_IN_LOGS = "taken-in-logs"

#: above so many names of events a row lists none
MAX_NAMES = 50
#: Lines further apart are looked for apart: one with an odd time makes nobody read all that lies
#: between.
SPAN_GAP = timedelta(milliseconds=100)
#: `xmin` has a transaction's number without its epoch
_EPOCH = 2**32

_EVENTS = """
SELECT id, occurred, received, name, follows, resource, related, payload
FROM event WHERE id = ANY($1::text[]::uuid[]) AND day = ANY($2::integer[])
"""
# The index on the time finds the spans; `xmin` leaves out what others stored at the same time.
# OFFSET 0 keeps the two apart: for the sake of `xmin` PostgreSQL would read the whole day.
_LOGS = """
SELECT id, name, level, message, timestamp, flow_run_id, task_run_id
FROM unnest($1::text[]::timestamptz[], $2::text[]::timestamptz[]) AS span (first, last),
LATERAL (
    SELECT log.*, log.xmin AS stored_by FROM log
    WHERE log.timestamp BETWEEN span.first AND span.last AND log.day = ANY($3::integer[])
    OFFSET 0
) AS line
WHERE stored_by = $4::text::xid
ORDER BY id
"""


def take_in_events(tx: Transaction, rows: Sequence[EventRows], server: UUID) -> None:
    """Insert what `event_rows` made of clients' events, and tell the other servers."""
    if not tx.is_postgres:
        insert_events(tx, rows)
        return
    stored = [row.event for row in rows]  # (day, id, occurred, received, name, ...)
    names = {row[4] for row in stored}
    body = {
        "server": server,
        "days": list({row[0] for row in stored}),
        "ids": [row[1] for row in stored],
        "names": list(names) if len(names) <= MAX_NAMES else None,
    }
    insert_events(tx, rows, telling=Told(0, TAKEN_IN_EVENTS, body))


def take_in_logs(tx: Transaction, rows: Sequence[Any], server: UUID) -> None:
    """Insert what `log_rows` made of clients' lines, and tell the other servers."""
    if not tx.is_postgres:
        insert_logs(tx, rows)
        return
    spans = _spans([row[3] for row in rows])  # (day, id, received, timestamp, ...)
    body = {
        "server": server,
        "days": list({row[0] for row in rows}),
        "first": [first for first, _ in spans],
        "last": [last for _, last in spans],
    }
    insert_logs(tx, rows, telling=Told(0, TAKEN_IN_LOGS, body))


def _spans(times: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """The stretches of time, as (first, last), in which the times lie close together."""
    ordered = sorted(times)
    breaks = [i for i in range(1, len(ordered)) if ordered[i] - ordered[i - 1] > SPAN_GAP]
    starts = chain((0,), breaks)
    ends = chain(breaks, (len(ordered),))
    return [(ordered[a], ordered[b - 1]) for a, b in zip(starts, ends, strict=True)]


def select_taken_in_events(
    tx: Transaction, told: Told, ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    """Those of the events that `told` tells of, as the wire has them, in the order of the ids."""
    rows = tx.run_rows(_EVENTS, ([str(id) for id in ids], told.body["days"]))
    found = {row[0]: _event_shape(*row) for row in rows}
    return [found[id] for id in ids if id in found]


def _event_shape(
    id: UUID,
    occurred: datetime,
    received: datetime,
    name: str,
    follows: UUID | None,
    *documents_of_it: str,
) -> dict[str, Any]:
    resource, related, payload = map(documents.load, documents_of_it)
    return {
        "occurred": occurred,
        "event": name,
        "resource": resource,
        "related": related,
        "payload": payload,
        "id": id,
        "follows": follows,
        "received": received,
    }


def select_taken_in_logs(tx: Transaction, told: Told) -> list[dict[str, Any]]:
    """The lines that `told` tells of, in order, as subscribers get them: without stamps."""
    body = told.body
    arguments = (body["first"], body["last"], body["days"], str(told.xid % _EPOCH))
    keys = ("id", "name", "level", "message", "timestamp", "flow_run_id", "task_run_id")
    without = {"created": None, "updated": None}
    return [without | dict(zip(keys, row, strict=True)) for row in tx.run_rows(_LOGS, arguments)]
