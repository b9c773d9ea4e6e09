"""Ids: UUIDv7 as RFC 9562 lays them out, so that new rows stand together in every index."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID, SafeUUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


_new = object.__new__
_set = object.__setattr__
_UNKNOWN = SafeUUID.unknown


def id_of_int(value: int) -> UUID:
    """The UUID of that number, in a third of the time that `UUID(int=…)` takes."""
    made: UUID = _new(UUID)
    _set(made, "int", value)
    _set(made, "is_safe", _UNKNOWN)
    return made


def new_id(now: datetime) -> UUID:
    """A fresh UUIDv7 for that moment. Nothing may read an order off it."""
    milliseconds = (now - _EPOCH) // _MILLISECOND
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | random
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    return id_of_int(value)
