"""SQLAlchemy Core expressions made into plain SQL with fast binding and decoding.

SQLAlchemy composes and renders the text; the drivers execute it directly, so that a statement costs
the database's time and little else. A `Statement` is rendered once per engine and kept.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean, TypeEngine

from penstock.core.ids import id_of_int
from penstock.store.column_types import EPOCH, MICROSECOND, Id, Time, from_microseconds

#: from so many rows on it is quicker to decode columns than rows
MANY = 8

Row = Any  # a named tuple whose fields are the statement's columns
Bind = Callable[[Any], Any]


class _SqliteCompiler(SQLiteCompiler):
    """Writes what `with_hint` says (`INDEXED BY ...`), which SQLAlchemy leaves out."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text


SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")
SQLITE.statement_compiler = _SqliteCompiler
#: numbered parameters, which PostgreSQL itself reads: nothing has to parse the text for each call
POSTGRES: Dialect = postgresql.psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy


def _bytes_to_id(value: bytes) -> UUID:
    return id_of_int(int.from_bytes(value, "big"))


#: Python text that turns a value `v` into what sqlite3 stores
_SQLITE_BINDS: dict[type[TypeEngine[Any]], str] = {
    Id: "v.int.to_bytes(16, 'big')",
    Time: "(v - EPOCH) // MICROSECOND",
}
_SQLITE_DECODES: dict[type[TypeEngine[Any]], Bind] = {
    Id: _bytes_to_id,
    Time: from_microseconds,
    Boolean: bool,
}
_NAMES = {"EPOCH": EPOCH, "MICROSECOND": MICROSECOND}
_BINDS: dict[str | None, Bind] = {
    text: eval(f"lambda v: None if v is None else {text}", _NAMES)  # our own text
    for text in _SQLITE_BINDS.values()
}


def row_binder(types: Sequence[TypeEngine[Any]]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Turns a row of values of these types into what sqlite3 stores: one expression, as
    `Rendered.compile_arguments` makes them."""
    parts = []
    for place, type_ in enumerate(types):
        bind = _SQLITE_BINDS.get(type(type_))
        parts.append(
            f"None if (v := r[{place}]) is None else {bind}" if bind is not None else f"r[{place}]"
        )
    made: Callable[[Sequence[Any]], tuple[Any, ...]] = eval(  # our own text
        f"lambda r: ({''.join(part + ', ' for part in parts)})", dict(_NAMES)
    )
    return made


@lru_cache(maxsize=2048)
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


class Rendered:
    """One statement as one engine's driver takes it."""

    __slots__ = (
        "_constants",
        "_fast",
        "binds",
        "constants",
        "decodes",
        "row_type",
        "sql",
    )

    def __init__(self, expression: Any, dialect: Dialect) -> None:
        compiled = expression.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self._fast: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None = None
        self._constants: dict[int, Any] = {}
        names = list(compiled.positiontup or ())
        types = {name: bind.type for name, bind in compiled.binds.items()}
        #: values written into the expression itself (limits, literals, members of IN lists)
        self.constants: dict[str, Any] = {
            name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required
        }
        if compiled.post_compile_params:
            expanded = compiled.construct_expanded_state(self.constants)
            self.sql = expanded.statement
            names = list(expanded.positiontup or ())
            self.constants = dict(expanded.parameters)
            for name, members in expanded.parameter_expansion.items():
                types.update(dict.fromkeys(members, types[name]))
        sqlite_ = dialect is SQLITE
        self.binds = [
            (n, _SQLITE_BINDS.get(type(types[n])) if sqlite_ and n in types else None)
            for n in names
        ]
        columns = _columns_of(expression)
        self.row_type = _row_type(tuple(name for name, _ in columns)) if columns else None
        self.decodes: list[tuple[int, Bind]] = []
        if sqlite_:
            self.decodes = [
                (i, _SQLITE_DECODES[type(t)])
                for i, (_, t) in enumerate(columns)
                if type(t) in _SQLITE_DECODES
            ]

    def arguments(self, params: Mapping[str, Any]) -> Any:
        """The driver's parameters, in the order in which the text wants them."""
        if self._fast is not None:
            return self._fast(params)
        values = {**self.constants, **params} if params else self.constants
        return tuple([_BINDS[bind](values[n]) if bind else values[n] for n, bind in self.binds])

    def compile_arguments(self) -> None:
        """Make `arguments` one expression, which is worth it for a statement that is kept."""
        parts = []
        for place, (name, bind) in enumerate(self.binds):
            if name in self.constants:
                value = self.constants[name]
                parts.append(f"constants[{place}]")
                self._constants[place] = _BINDS[bind](value) if bind else value
            elif bind:
                parts.append(f"None if (v := p[{name!r}]) is None else {bind}")
            else:
                parts.append(f"p[{name!r}]")
        text = f"lambda p: ({''.join(part + ', ' for part in parts)})"
        self._fast = eval(text, _NAMES | {"constants": self._constants})  # our own text

    def rows(self, raw: Iterable[Sequence[Any]]) -> list[Row]:
        """Named tuples of the driver's rows, values decoded."""
        assert self.row_type is not None  # a statement that returns rows
        make = self.row_type._make
        if not self.decodes:
            return [make(r) for r in raw]
        raw = list(raw)
        if len(raw) >= MANY:
            return [make(r) for r in self._decoded_by_column(raw)]
        out = []
        for r in raw:
            values = list(r)
            for i, decode in self.decodes:
                if values[i] is not None:
                    values[i] = decode(values[i])
            out.append(make(values))
        return out

    def _decoded_by_column(self, raw: list[Sequence[Any]]) -> Iterable[Sequence[Any]]:
        """The rows decoded a column at a time, each distinct value once: many rows of a list have
        the same flow, queue or nothing."""
        columns = list(zip(*raw, strict=True))
        for i, decode in self.decodes:
            known = {v: None if v is None else decode(v) for v in set(columns[i])}
            columns[i] = tuple([known[v] for v in columns[i]])
        return zip(*columns, strict=True)


def _columns_of(expression: Any) -> list[tuple[str, TypeEngine[Any]]]:
    if getattr(expression, "is_select", False) or hasattr(expression, "selected_columns"):
        return [(c.name, c.type) for c in expression.selected_columns]
    returning = getattr(expression, "returning_column_descriptions", None)
    return [(d["name"], d["type"]) for d in returning] if returning else []


class Statement:
    """A statement with a name and a fixed text; its parameters are given by name when it runs."""

    __slots__ = ("_rendered", "expression")

    def __init__(self, expression: Executable) -> None:
        self.expression = expression
        self._rendered: dict[str, Rendered] = {}

    def render(self, dialect: Dialect) -> Rendered:
        """The text for that engine, made on first use."""
        rendered = self._rendered.get(dialect.name)
        if rendered is None:
            rendered = Rendered(self.expression, dialect)
            rendered.compile_arguments()
            self._rendered[dialect.name] = rendered
        return rendered


def render(statement: "Statement | Executable", dialect: Dialect) -> Rendered:
    """The text of a kept statement, or of an expression composed for this call."""
    if isinstance(statement, Statement):
        return statement.render(dialect)
    return Rendered(statement, dialect)
