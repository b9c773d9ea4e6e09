"""Ships a run's task events and log lines in batches, from one background thread.

Nothing is dropped silently: what cannot be delivered is counted and said on the `penstock` logger.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from penstock.sdk import calls
from penstock.sdk.errors import ApiError, AttemptLost, Unavailable
from penstock.sdk.wire import encode

if TYPE_CHECKING:
    from penstock.sdk.client import Client

logger = logging.getLogger("penstock.reporter")

MAX_EVENTS = 500
MAX_EVENT_BYTES = 3_000_000
MAX_LOGS = 2000
MAX_LOG_BYTES = 8_000_000
#: how long an event or a line waits for company
INTERVAL_SECONDS = 0.25
#: above this the code that reports waits until a batch is through
MAX_WAITING = 50_000


class Reporter:
    """Takes events and log lines from any thread and delivers them; lines in their order."""

    def __init__(self, client: Client, attempt_id: str | None = None) -> None:
        self.client = client
        self.attempt_id = attempt_id
        #: set when the server refused this attempt: nothing is sent any more
        self.lost = False
        # encoded at once: bytes cost the garbage collector nothing while they wait
        self._events: deque[bytes] = deque()
        self._logs: deque[bytes] = deque()
        self._closed = False
        self._prepare_thread()
        _reporters.add(self)

    def _prepare_thread(self) -> None:
        self._wake = threading.Event()
        #: held by the thread while it sends
        self._sending = threading.Lock()
        self._taking = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """In a forked child: what waits is the parent's to send, and the thread is not here."""
        self._events.clear()
        self._logs.clear()
        self._prepare_thread()

    def add_event(self, event: dict[str, Any]) -> None:
        """Queues one event."""
        self._events.append(encode(event))
        self._after_adding(len(self._events), MAX_EVENTS)

    def add_log(self, line: dict[str, Any]) -> None:
        """Queues one log line."""
        self._logs.append(encode(line))
        self._after_adding(len(self._logs), MAX_LOGS)

    def flush(self) -> None:
        """Returns when everything queued so far is stored, or is known to be undeliverable."""
        if self._events or self._logs or self._sending.locked():
            # Beside the thread, so that the server reads one batch while it stores the other: the
            # order of events does not matter to it. Lines keep theirs, for who follows them.
            if len(self._events) > MAX_EVENTS:
                self._wake.set()
            self._send_events(last=True)
            with self._sending:  # what the thread was sending is through, or waits again
                self._send_waiting(last=True)

    def close(self) -> None:
        """Flushes and ends the thread."""
        self.flush()
        self._closed = True
        self._wake.set()

    def _after_adding(self, waiting: int, batch: int) -> None:
        if self._thread is None:
            self._start()
        if waiting >= batch and not self._wake.is_set():
            self._wake.set()
        if waiting >= MAX_WAITING or self._closed:
            self.flush()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="penstock-reporter", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            is_full = self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            if self._events or self._logs:
                with self._sending:
                    self._send_waiting(last=False, full_only=is_full)

    def _send_waiting(self, last: bool, full_only: bool = False) -> None:
        """Sends what waits; with `full_only` what is not a full batch goes on waiting."""
        self._send_events(last, full_only)
        fewest = MAX_LOGS if full_only else 1
        while len(self._logs) >= fewest:
            if not self._send_batch(self._logs, MAX_LOGS, MAX_LOG_BYTES, last):
                break

    def _send_events(self, last: bool, full_only: bool = False) -> None:
        fewest = MAX_EVENTS if full_only else 1
        while len(self._events) >= fewest:
            if not self._send_batch(self._events, MAX_EVENTS, MAX_EVENT_BYTES, last):
                break

    def _send_batch(self, queue: deque[bytes], most: int, most_bytes: int, last: bool) -> bool:
        """Sends the head of a queue; True when the queue got shorter."""
        with self._taking:
            parts = _take(queue, most, most_bytes)
        if self.lost or not parts:
            return True
        body: Any = orjson.Fragment(b"[" + b",".join(parts) + b"]")
        try:
            if queue is self._events:
                self.client.do(calls.create_events(body, attempt_id=self.attempt_id))
            else:
                self.client.do(calls.create_logs(body))
        except AttemptLost:
            self.lost = True
        except Unavailable as error:
            if not last:  # the next round tries again
                queue.extendleft(reversed(parts))
                return False
            logger.error("%d reports were not delivered: %s", len(parts), error)
        except ApiError as error:
            logger.error("%d reports were refused: %s", len(parts), error)
        return True


_reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()


def _after_fork() -> None:
    for reporter in list(_reporters):
        reporter.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _take(queue: deque[bytes], most: int, most_bytes: int) -> list[bytes]:
    """Takes the head of the queue, bounded in number and bytes."""
    parts: list[bytes] = []
    size = 0
    while queue and len(parts) < most and size < most_bytes:
        parts.append(queue.popleft())
        size += len(parts[-1]) + 1
    return parts
