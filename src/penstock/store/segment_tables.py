"""The tables of logs and events. They live apart from the main database, one segment per day.

On SQLite a segment is a file; on PostgreSQL it is a partition by `day` (20261121: the day of
receipt in UTC). Only then is `day` needed in the keys, and both engines share the statements.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from penstock.store.column_types import Document, Id, Time

segment_metadata = MetaData()

log = Table(
    "log",
    segment_metadata,
    Column("day", Integer, nullable=False),
    Column("id", Id, nullable=False),
    Column("received", Time, nullable=False),
    Column("timestamp", Time, nullable=False),
    Column("level", Integer, nullable=False),
    Column("flow_run_id", Id),
    Column("task_run_id", Id),
    Column("name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("ix_log_timestamp", "timestamp"),
    postgresql_partition_by="LIST (day)",
)
_FOR_RUNS = text("flow_run_id IS NOT NULL")
_FOR_TASKS = text("task_run_id IS NOT NULL")
Index(
    "ix_log_flow_run_id",
    log.c.flow_run_id,
    log.c.timestamp,
    sqlite_where=_FOR_RUNS,
    postgresql_where=_FOR_RUNS,
)
Index(
    "ix_log_task_run_id",
    log.c.task_run_id,
    log.c.timestamp,
    sqlite_where=_FOR_TASKS,
    postgresql_where=_FOR_TASKS,
)

event = Table(
    "event",
    segment_metadata,
    Column("day", Integer, nullable=False),
    Column("id", Id, nullable=False),
    Column("occurred", Time, nullable=False),
    Column("received", Time, nullable=False),
    Column("name", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("follows", Id),
    Column("resource", Document, nullable=False),
    Column("related", Document, nullable=False),
    Column("payload", Document, nullable=False),
    PrimaryKeyConstraint("id", "day"),
    Index("ix_event_occurred", "occurred", "id"),
    postgresql_partition_by="LIST (day)",
)

# Which events a resource has to do with, as the primary resource (role '') or a related one.
event_resource = Table(
    "event_resource",
    segment_metadata,
    Column("resource_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("occurred", Time, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("day", Integer, nullable=False),
    PrimaryKeyConstraint("resource_id", "occurred", "event_id", "role", "day"),
    sqlite_with_rowid=False,
    postgresql_partition_by="LIST (day)",
)

LOG_TABLES = (log,)
EVENT_TABLES = (event, event_resource)


def definitions(tables: tuple[Table, ...], dialect: Dialect) -> list[str]:
    """The statements that make these tables and their indexes."""
    made: list[CreateTable | CreateIndex] = []
    for table in tables:
        made.append(CreateTable(table))
        made += [CreateIndex(i) for i in sorted(table.indexes, key=lambda i: str(i.name))]
    return [str(m.compile(dialect=dialect)) for m in made]


def create_partitioned_tables(run: Callable[[str], Any]) -> None:
    """Make what only PostgreSQL has, by `run`, which executes SQL text.

    The migrations call it; they describe by Alembic's means what both engines share.
    """
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy
    for statement in definitions((*LOG_TABLES, *EVENT_TABLES), dialect):
        run(statement)
    # Servers read the outbox in this order (see store/outbox.py); on SQLite nobody does.
    run("CREATE INDEX ix_outbox_settled ON outbox (xid, seq)")


def is_made_apart(name: str | None, kind: str) -> bool:
    """Whether Alembic's comparison shall leave this table or index to the function above."""
    if kind == "index":
        return name == "ix_outbox_settled"
    return kind == "table" and (name or "").startswith(("log", "event"))
