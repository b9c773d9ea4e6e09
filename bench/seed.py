"""Large tables by SQL: one run made over HTTP is multiplied, with new ids, names and times.

Works on any schema that has the columns below, so on the peer's too. Through the API 100,000 runs
would take the peer two hours.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg import sql

from bench.bodies import iso, run_fields
from bench.measurement import NotMeasured
from bench.targets import Peer, Target
from penstock.core.ids import new_id

#: columns of a run that hold when it was to start, has started, has ended
_TIMES = ("expected_start_time", "start_time", "end_time", "state_timestamp", "created", "updated")


@dataclass(frozen=True)
class Tables:
    """What the tables and columns of a target are called."""

    state: str
    state_run_id: str
    tag: str | None


_OURS = Tables("state", "run_id", "flow_run_tag")
_PEER = Tables("flow_run_state", "flow_run_id", None)


def seed_due(target: Target, count: int) -> str:
    """A new pool with so many runs that were due ten minutes ago; its name.

    They are marked late already: what is measured later is not the marking.
    """
    pool = target.create_pool()
    deployment_id = target.create_deployment(pool)
    due = iso(datetime.now(UTC) - timedelta(minutes=10))
    state = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": due}}
    _multiply(target, [(_create(target, deployment_id, state), count - 1)], spread=None)
    return pool


#: how the seeded history is made up: state, name, its share
_HISTORY = (
    ("COMPLETED", "Completed", 0.95),
    ("FAILED", "Failed", 0.04),
    ("SCHEDULED", "Late", 0.01),
)
HISTORY_DEPLOYMENTS = 10
HISTORY_DAYS = 30


def seed_history(target: Target, count: int) -> str:
    """So many runs, most of them completed, of ten deployments over the last thirty days.

    The id of one of the deployments.
    """
    pool = target.create_pool()
    deployments = [target.create_deployment(pool) for _ in range(HISTORY_DEPLOYMENTS)]
    templates = []
    for deployment in deployments:
        for type, name, share in _HISTORY:
            state = {"type": type, "name": name, "state_details": {}}
            runs = round(count * share / HISTORY_DEPLOYMENTS)
            templates.append((_create(target, deployment, state), runs - 1))
    _multiply(target, templates, spread=timedelta(days=HISTORY_DAYS))
    return deployments[0]


def _create(target: Target, deployment_id: str, state: dict[str, Any]) -> tuple[UUID, UUID]:
    path = f"/deployments/{deployment_id}/create_flow_run"
    fields = run_fields(state) | {"tags": ["bench", deployment_id]}
    run = target.api.json(target.api.post(path, fields))
    return UUID(run["id"]), UUID(run["state_id"])


def _multiply(
    target: Target,
    templates: Sequence[tuple[tuple[UUID, UUID], int]],
    spread: timedelta | None,
) -> None:
    """So many copies of each run, named by its id and its state's."""
    if isinstance(target, Peer) and target.database_url.startswith("sqlite"):
        raise NotMeasured("the peer's large tables are filled on PostgreSQL only")
    # One server process has a SQLite file to itself; and no server looks on while rows appear.
    target.stop()
    tables = _PEER if isinstance(target, Peer) else _OURS
    copier = _SqliteCopier if target.database_url.startswith("sqlite") else _PostgresCopier
    with copier(target) as copy:
        for (run, state), copies in templates:
            _Multiplied(copy, tables, run, state).insert(copies, spread)
    target.start()


class _Multiplied:
    """A template run with its state and tags, to be copied many times."""

    def __init__(self, copy: "_Copier", tables: Tables, run_id: UUID, state_id: UUID) -> None:
        self.copy = copy
        self.tables = tables
        self.run = copy.row("flow_run", run_id)
        self.state = copy.row(tables.state, state_id)

    def insert(self, count: int, spread: timedelta | None) -> None:
        """Insert the copies, the oldest first."""
        now = datetime.now(UTC)
        step = (spread or timedelta(milliseconds=count)) / max(1, count)
        made = [now - step * (count - i) for i in range(count)]
        ids = [(new_id(at), new_id(at)) for at in made]
        when = made if spread is not None else [None] * count
        self.copy.insert("flow_run", list(self.run), self._runs(ids, when))
        self.copy.insert(self.tables.state, list(self.state), self._states(ids, when))
        if self.tables.tag:
            raw_id = self.copy.raw_id
            names = orjson.loads(self.run["tags"])
            tags = ((tag, raw_id(run)) for tag in names for run, _ in ids)
            self.copy.insert(self.tables.tag, ["tag", "flow_run_id"], tags)

    def _runs(
        self, ids: list[tuple[UUID, UUID]], when: Sequence[datetime | None]
    ) -> Iterator[Sequence[Any]]:
        raw_id, raw_time = self.copy.raw_id, self.copy.raw_time
        for number, ((run, state), at) in enumerate(zip(ids, when, strict=True)):
            new = {"id": raw_id(run), "state_id": raw_id(state), "name": f"seeded-{number}"}
            new["idempotency_key"] = None
            if at is not None:
                # A run that has not started has no time of it.
                known = [name for name in _TIMES if self.run[name] is not None]
                new |= dict.fromkeys(known, raw_time(at))
            yield list((self.run | new).values())

    def _states(
        self, ids: list[tuple[UUID, UUID]], when: Sequence[datetime | None]
    ) -> Iterator[Sequence[Any]]:
        raw_id, raw_time = self.copy.raw_id, self.copy.raw_time
        for (run, state), at in zip(ids, when, strict=True):
            new = {"id": raw_id(state), self.tables.state_run_id: raw_id(run)}
            if at is not None:
                new["timestamp"] = raw_time(at)
            yield list((self.state | new).values())


class _Copier:
    """Reads a row and inserts many, with values as the database stores them."""

    def row(self, table: str, id: UUID) -> dict[str, Any]:
        """The columns of the row with this id."""
        raise NotImplementedError

    def insert(self, table: str, columns: list[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows that are not there yet."""
        raise NotImplementedError

    def raw_id(self, id: UUID) -> Any:
        """An id as it is stored."""
        raise NotImplementedError

    def raw_time(self, at: datetime) -> Any:
        """A time as it is stored."""
        raise NotImplementedError


class _SqliteCopier(_Copier):
    def __init__(self, target: Target) -> None:
        self._connection = sqlite3.connect(target.database_url.removeprefix("sqlite:///"))
        self._connection.row_factory = sqlite3.Row

    def __enter__(self) -> "_SqliteCopier":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.commit()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def row(self, table: str, id: UUID) -> dict[str, Any]:
        found = self._connection.execute(f"SELECT * FROM {table} WHERE id = ?", (id.bytes,))
        return dict(found.fetchone())

    def insert(self, table: str, columns: list[str], rows: Iterable[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)

    def raw_id(self, id: UUID) -> bytes:
        return id.bytes

    def raw_time(self, at: datetime) -> int:
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class _PostgresCopier(_Copier):
    """Copies values as text, which every type takes. ANALYZE follows, as autovacuum would do."""

    def __init__(self, target: Target) -> None:
        self._connection = psycopg.connect(target.database_url, autocommit=True)
        if isinstance(target, Peer):
            # The rows of both tables name each other: no order of inserting them pleases its
            # foreign keys.
            self._connection.execute("SET session_replication_role = replica")

    def __enter__(self) -> "_PostgresCopier":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.execute("VACUUM ANALYZE")
        self._connection.close()

    def row(self, table: str, id: UUID) -> dict[str, Any]:
        query = sql.SQL("SELECT * FROM {} WHERE id = {}").format(sql.Identifier(table), id)
        names = [c.name for c in self._connection.execute(query).description or ()]
        as_text = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(n)) for n in names)
        values = self._connection.execute(
            sql.SQL("SELECT {} FROM {} WHERE id = {}").format(as_text, sql.Identifier(table), id)
        ).fetchone()
        assert values is not None
        return dict(zip(names, values, strict=True))

    def insert(self, table: str, columns: list[str], rows: Iterable[Sequence[Any]]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def raw_id(self, id: UUID) -> str:
        return str(id)

    def raw_time(self, at: datetime) -> str:
        return at.isoformat()
