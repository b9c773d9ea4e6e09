"""Runs and states as sentences; a test says only what matters to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.core.bookkeeping import RunFacts
from penstock.core.ids import new_id
from penstock.core.states import TERMINAL_STATE_TYPES, State, StateType, make_state

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
S, P, R, C, F, X, K, U, G = tuple(StateType)


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def ahead(**duration: float) -> datetime:
    return NOW + timedelta(**duration)


def state(type: StateType, name: str | None = None, **details: Any) -> State:
    """A proposal made now."""
    data = details.pop("data", None)
    return make_state(type, NOW, name=name, data=data, details=details)


def run_in(current: State | StateType | None, **facts: Any) -> RunFacts:
    """A run of a deployment that has been in this state for ten seconds."""
    if isinstance(current, StateType):
        current = make_state(current, ago(seconds=10))
    started = None if current is None or current.type in (S, P) else ago(minutes=1)
    ended = ago(seconds=10) if current and current.type in TERMINAL_STATE_TYPES else None
    known = {
        "state": current,
        "run_count": 0 if started is None else 1,
        "start_time": started,
        "end_time": ended,
        "deployment_id": new_id(NOW),
    }
    return RunFacts(**(known | facts))
