"""Waits for what the server makes of events: task runs and logs appear a moment after the call."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    read: Callable[[], T], good: Callable[[T], object] = bool, timeout_seconds: float = 15
) -> T:
    """What `read` gives as soon as it is good, or at last, when it never was."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = read()
        if good(value) or time.monotonic() > deadline:
            return value
        time.sleep(0.05)
