"""Ids and times that the client makes itself."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime

_RANDOM_MASK = (1 << 62) - 1


def time_ordered_id() -> str:
    """A new UUID of version 7 as text: later ones sort after earlier ones, by milliseconds."""
    millis = time.time_ns() // 1_000_000
    rand = int.from_bytes(os.urandom(10))
    value = (millis << 80) | (0x7 << 76) | ((rand >> 62 & 0xFFF) << 64) | (0b10 << 62)
    return str(uuid.UUID(int=value | (rand & _RANDOM_MASK)))


def task_run_id(flow_run_id: str, task_key: str, dynamic_key: str) -> uuid.UUID:
    """The id of a task run: the same again when its flow run is executed again."""
    return uuid.uuid5(uuid.UUID(flow_run_id), f"{task_key}/{dynamic_key}")


def now_text() -> str:
    """The time now as the wire wants it: UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
