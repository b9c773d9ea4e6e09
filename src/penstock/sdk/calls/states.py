"""States as bodies of requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast


def scheduled_state(scheduled_time: datetime) -> dict[str, Any]:
    """The body of a SCHEDULED state; the time must carry a time zone."""
    if scheduled_time.tzinfo is None:
        raise ValueError("scheduled_start_time needs a time zone")
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled_time}}


def state_body(state: Any) -> dict[str, Any] | None:
    """A state's body from a type name, a mapping, or an object with `type`, `name`, `message`."""
    if state is None:
        return None
    if isinstance(state, str):
        return {"type": state.upper()}
    if isinstance(state, Mapping):
        return dict(state)
    dump = getattr(state, "model_dump", None)
    if dump is not None:
        known = dump(mode="json", exclude_none=True)
        return {key: known[key] for key in _STATE_FIELDS if key in known}
    return cast(dict[str, Any], state.to_body())


def needed_state_body(state: Any) -> dict[str, Any]:
    """As `state_body`; raises ValueError when there is no state."""
    body = state_body(state)
    if body is None:
        raise ValueError("a state is needed")
    return body


_STATE_FIELDS = ("type", "name", "message", "data", "state_details")
