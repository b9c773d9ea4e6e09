"""Time limits for the bodies of blocking flows and tasks."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType


class BodyTimedOut(TimeoutError):
    """The body ran longer than its `timeout_seconds`."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[type[BodyTimedOut] | None]:
    """Raises in this thread after so many seconds; gives the class that it raises.

    The main thread is interrupted by a timer signal, also in the middle of a system call. Other
    threads are interrupted when they next execute Python code.
    """
    if seconds is None:
        yield None
        return
    # a class of its own per limit, so that an outer limit is not taken for an inner one
    raised = type("BodyTimedOut", (BodyTimedOut,), {})
    message = f"it took longer than {seconds:g} s"
    in_main = threading.current_thread() is threading.main_thread()
    limit = _signal_limit if in_main else _thread_limit
    with limit(seconds, raised, message):
        yield raised


@contextlib.contextmanager
def _signal_limit(seconds: float, raised: type[BodyTimedOut], message: str) -> Iterator[None]:
    outer_left, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < outer_left <= seconds:  # the enclosing limit ends this body first
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise raised(message)

    started = time.monotonic()
    outer_handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_left:
            left = max(0.001, outer_left - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, left)


@contextlib.contextmanager
def _thread_limit(seconds: float, raised: type[BodyTimedOut], message: str) -> Iterator[None]:
    thread = threading.get_ident()
    lock = threading.Lock()
    running = True

    def interrupt() -> None:
        with lock:
            if running:
                raise_in_thread(thread, raised)

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except raised as error:  # the interpreter raises it without arguments
        raise raised(message) from error
    finally:
        with lock:
            running = False
        timer.cancel()


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Raises an exception in another thread when it next executes Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
