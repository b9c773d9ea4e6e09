"""What a unit of work sees of the database: named statements in, rows out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import Dialect

from penstock.store.statements import POSTGRES, Row, Statement, render

StatementListener = Callable[[str], None]


class Stale(Exception):
    """What the unit was prepared from has changed; prepare and run it again."""


class Connection(Protocol):
    """The part of a DB-API connection that transactions use (sqlite3 and psycopg both have it)."""

    def execute(self, sql: Any, params: Any = ..., /) -> Any:
        """Run one statement."""

    def cursor(self) -> Any:
        """A cursor for many rows at once."""


#: of a PostgreSQL connection: no transaction is open (`psycopg.pq.TransactionStatus.IDLE`)
IDLE = 0


class Transaction:
    """One transaction on one connection. Units of work take it as their first argument.

    `effects` collects what is to be told to the rest of the server once the transaction has
    committed; nothing of it is told when it rolls back.
    """

    __slots__ = (
        "_connection",
        "_listener",
        "dialect",
        "effects",
        "is_postgres",
        "memory",
        "statements",
    )

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        memory: dict[Any, Any],
        listener: StatementListener | None = None,
    ) -> None:
        self._connection: Any = connection
        #: what this process remembers of this database; every use is guarded by a revision
        self.memory = memory
        self._listener = listener
        self.dialect = dialect
        self.is_postgres = dialect is POSTGRES
        self.effects: list[Any] = []
        #: how many statements have succeeded
        self.statements = 0

    def rows(self, statement: Statement | Executable, /, **params: Any) -> list[Row]:
        """All rows of a query (or of a RETURNING clause) as named tuples."""
        rendered = render(statement, self.dialect)
        if self._listener:
            self._listener(rendered.sql)
        cursor = self._connection.execute(rendered.sql, rendered.arguments(params))
        self.statements += 1
        return rendered.rows(cursor.fetchall())

    def row(self, statement: Statement | Executable, /, **params: Any) -> Row | None:
        """The first row, or None."""
        rows = self.rows(statement, **params)
        return rows[0] if rows else None

    def value(self, statement: Statement | Executable, /, **params: Any) -> Any:
        """The first column of the first row, or None."""
        rows = self.rows(statement, **params)
        return rows[0][0] if rows else None

    def run(self, statement: Statement | Executable, /, **params: Any) -> int:
        """Run a change; the number of rows it touched."""
        rendered = render(statement, self.dialect)
        if self._listener:
            self._listener(rendered.sql)
        cursor = self._connection.execute(rendered.sql, rendered.arguments(params))
        self.statements += 1
        return int(cursor.rowcount)

    def insert(self, statement: Statement, /, **params: Any) -> int:
        """Insert one row on SQLite; the number that SQLite has given it."""
        rendered = render(statement, self.dialect)
        if self._listener:
            self._listener(rendered.sql)
        cursor = self._connection.execute(rendered.sql, rendered.arguments(params))
        self.statements += 1
        return int(cursor.lastrowid)

    def run_many(self, statement: Statement, many: Sequence[Mapping[str, Any]]) -> int:
        """Run one change for each set of parameters, as one call to the driver."""
        if not many:
            return 0
        rendered = render(statement, self.dialect)
        if self._listener:
            self._listener(rendered.sql)
        cursor = self._connection.cursor()
        cursor.executemany(rendered.sql, [rendered.arguments(p) for p in many])
        self.statements += 1
        return int(cursor.rowcount)

    def whole(self) -> AbstractContextManager[Any]:
        """What runs in the block happens wholly or not at all, also in a unit of one statement.

        For the rare case of such a unit that needs several after all; in others it changes nothing.
        """
        if not self.is_postgres or self._connection.info.transaction_status != IDLE:
            return nullcontext()
        block: AbstractContextManager[Any] = self._connection.transaction()
        return block

    def run_rows(self, sql: str, arguments: Any) -> list[Any]:
        """Run SQL text as the driver takes it, for statements that carry many rows at once.

        What it returns by RETURNING comes as the driver has it, undecoded.
        """
        if self._listener:
            self._listener(sql)
        cursor = self._connection.execute(sql, arguments)
        self.statements += 1
        return list(cursor.fetchall()) if cursor.description else []
