"""Tracebacks for the log of a run: the user's frames, not the engine's."""

from __future__ import annotations

import traceback
from pathlib import Path

ENGINE = str(Path(__file__).parent)


def traceback_of_user_code(error: BaseException) -> str:
    """The exception with its causes as Python prints them, without frames of this package."""
    told = traceback.TracebackException.from_exception(error)
    _leave_engine_out(told)
    return "".join(told.format()).rstrip()


def _leave_engine_out(told: traceback.TracebackException) -> None:
    own = [frame for frame in told.stack if not frame.filename.startswith(ENGINE)]
    if own:
        told.stack = traceback.StackSummary.from_list(own)
    for earlier in (told.__cause__, told.__context__):
        if earlier is not None:
            _leave_engine_out(earlier)
