"""Many rows in one statement.

The interpreter lock is the reason: the SQLite module gives it up at every statement and must win it
back from the event loop, so `executemany` loses it once per row. On PostgreSQL the rows travel as
one JSON text and one round trip.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import BigInteger, Boolean, Float, Integer

from penstock.core import documents
from penstock.store.column_types import Id, Time
from penstock.store.outbox import Told, tell_beside
from penstock.store.statements import POSTGRES, row_binder
from penstock.store.transaction import Transaction

#: rows per statement, largest first: few sizes, so that their statements stay prepared
_SIZES = (256, 64, 16, 4, 1)
#: SQLite takes 32,766 parameters at most
_MAX_PARAMETERS = 32_000


def insert_rows(
    tx: Transaction,
    table: Table,
    rows: Sequence[Sequence[Any]],
    *,
    tail: str = "",
    bound: bool = False,
    telling: Told | None = None,
) -> list[Any]:
    """Insert rows, each a sequence of values in the order of the table's columns.

    `tail` is what follows the values and means the same to both engines, as
    `ON CONFLICT DO NOTHING`; where it ends in a RETURNING clause, its rows come back as the driver
    has them. `bound` says that the values are already what the driver takes. On PostgreSQL
    `telling` goes into the outbox by the same statement, when there are rows.
    """
    if tx.is_postgres:
        if not rows:
            return []
        sql, names = _postgres_text(table, tail)
        if telling is not None:
            tell_beside(tx, sql, (_json(names, rows),), telling)
            return []
        return tx.run_rows(sql, (_json(names, rows),))
    found = []
    if not bound:
        rows = bind_rows(table, rows, tx.dialect)
    done = 0
    for size in _SIZES:
        if size * len(table.columns) > _MAX_PARAMETERS:
            continue
        while len(rows) - done >= size:
            part = rows[done : done + size]
            done += size
            found += tx.run_rows(_sqlite_text(table, size, tail), _flat(part))
    return found


def bind_rows(table: Table, rows: Sequence[Sequence[Any]], dialect: Dialect) -> list[Any]:
    """Rows as the driver takes them, for `insert_rows(…, bound=True)`.

    Done where the rows are made, it keeps a writer's thread from holding up the event loop.
    """
    if dialect is POSTGRES:
        return list(rows)
    return list(map(_sqlite_row(table), rows))


def _flat(rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    return rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))


@lru_cache(maxsize=64)
def _sqlite_row(table: Table) -> Callable[[Sequence[Any]], Any]:
    return row_binder([c.type for c in table.c])


@lru_cache(maxsize=256)
def _sqlite_text(table: Table, size: int, tail: str) -> str:
    names = ", ".join(f'"{c.name}"' for c in table.c)
    row = "(" + ", ".join("?" * len(table.c)) + ")"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * size)} {tail}"


_POSTGRES_TYPES: dict[type[Any], str] = {
    Id: "uuid",
    Time: "timestamptz",
    Integer: "integer",
    BigInteger: "bigint",
    Float: "double precision",
    Boolean: "boolean",
}


@lru_cache(maxsize=64)
def _postgres_text(table: Table, tail: str) -> tuple[str, list[str]]:
    names = [f"{c.name}" for c in table.c]  # SQLAlchemy's names are a kind of str
    columns = ", ".join(f'"{n}"' for n in names)
    typed = ", ".join(f'"{c.name}" {_POSTGRES_TYPES.get(type(c.type), "text")}' for c in table.c)
    # `true` keeps a following ON CONFLICT from being read as a join condition
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} "
        f"FROM json_to_recordset($1) AS t({typed}) WHERE true {tail}",
        names,
    )


def _json(names: list[str], rows: Sequence[Sequence[Any]]) -> str:
    return documents.dump([dict(zip(names, row, strict=True)) for row in rows])
