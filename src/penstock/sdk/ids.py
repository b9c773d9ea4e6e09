"""Ids that the client makes itself, as text: a task makes several, so they are made cheaply."""

from __future__ import annotations

import hashlib
import os
import random
import time

# a generator of its own: user code may seed the shared one, and ids must not repeat then;
# os.urandom would let go of the interpreter's lock at every id
_random = random.Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def time_ordered_id() -> str:
    """A new UUID of version 7: later ones sort after earlier ones, by milliseconds."""
    bits = _random.getrandbits(76)
    value = (time.time_ns() // 1_000_000 << 80) | 0x7000_8000_0000_0000_0000
    # 12 random bits beside the version, 62 beside the variant
    text = f"{value | (bits >> 64 << 64) | (bits & 0x3FFF_FFFF_FFFF_FFFF):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def task_run_id(flow_run_id: str, task_key: str, dynamic_key: str) -> str:
    """A UUID of version 8: the same again when the task's flow run is executed again."""
    name = f"{flow_run_id}/{task_key}/{dynamic_key}"
    text = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
