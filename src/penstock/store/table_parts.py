"""What the definitions of tables share: the registry, recurring columns, partial indexes."""

from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    text,
)

from penstock.store.column_types import Time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: the one workspace until tenancy comes; first in every unique key
WORKSPACE = 1
TERMINAL = "('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')"


def workspace_column() -> Column[int]:
    return Column("workspace_id", Integer, nullable=False, server_default=text("1"))


def stamps() -> tuple[Column, Column]:  # type: ignore[type-arg]  # two of the same type
    return Column("created", Time, nullable=False), Column("updated", Time, nullable=False)


def partial_index(name: str, table: Table, condition: str, *columns: str) -> Index:
    where = text(condition)
    return Index(name, *[table.c[c] for c in columns], sqlite_where=where, postgresql_where=where)
