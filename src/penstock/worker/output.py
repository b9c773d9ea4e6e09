"""Copies what the runs print to the worker's own output, each line behind the run's name."""

import contextlib
import os
import selectors
import sys
import threading
from dataclasses import dataclass

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16


@dataclass
class _Stream:
    """The reading end of one run's output."""

    fd: int
    prefix: bytes
    ended: threading.Event
    rest: bytes = b""


class OutputPump:
    """One thread that reads the output of all runs."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe()
        self._new: list[_Stream] = []
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        threading.Thread(target=self._pump, name="output", daemon=True).start()

    def open(self, name: str) -> tuple[int, threading.Event]:
        """A descriptor for a run to write to, which the caller closes after handing it on; the
        event is set when all of it has been shown.
        """
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        stream = _Stream(reader, f"{name} | ".encode(), threading.Event())
        self._new.append(stream)
        os.write(self._wake_writer, b"x")
        return writer, stream.ended

    def _pump(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_reader, _CHUNK)
                    while self._new:
                        stream = self._new.pop(0)
                        self._selector.register(stream.fd, selectors.EVENT_READ, stream)
                else:
                    self._copy(key.data)

    def _copy(self, stream: _Stream) -> None:
        chunk = os.read(stream.fd, _CHUNK)
        lines = (stream.rest + chunk).split(b"\n")
        stream.rest = lines.pop()
        if not chunk or len(stream.rest) > _LONGEST_LINE:
            lines += [stream.rest] if stream.rest else []
            stream.rest = b""
        _show(b"".join(stream.prefix + line + b"\n" for line in lines))
        if not chunk:
            self._selector.unregister(stream.fd)
            os.close(stream.fd)
            stream.ended.set()


def _show(text: bytes) -> None:
    # A worker whose output nobody reads any more goes on working.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
