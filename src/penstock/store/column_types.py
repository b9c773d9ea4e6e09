"""Column types that differ between the engines: ids, times, opaque documents.

SQLite stores a UUID as BLOB(16) and a time as integer microseconds since 1970 UTC;
PostgreSQL has types of its own for both.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, LargeBinary, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The UTC time that many microseconds after 1970-01-01."""
    return EPOCH + timedelta(microseconds=value)


class Id(TypeDecorator[UUID]):
    """A UUID."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`uuid` on PostgreSQL, 16 bytes on SQLite."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        return dialect.type_descriptor(LargeBinary(16))


class Time(TypeDecorator[datetime]):
    """A moment, always aware and in UTC."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`timestamptz` on PostgreSQL, microseconds on SQLite."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())


class Document(TypeDecorator[str]):
    """JSON text kept as it was written: never parsed, reordered or respelled by the database."""

    impl = Text
    cache_ok = True
