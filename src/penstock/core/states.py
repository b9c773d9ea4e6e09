"""A state of a run, as the rules see it; and the making of new ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from penstock.contract.enums import TERMINAL_STATE_TYPES, StateType
from penstock.core import documents
from penstock.core.ids import new_id

__all__ = [
    "TERMINAL_STATE_TYPES",
    "State",
    "StateType",
    "default_name",
    "holds_result",
    "make_state",
    "moment",
    "same_transition",
]

_DEFAULT_NAMES = {t: t.value.capitalize() for t in StateType}


@dataclass(frozen=True, slots=True)
class State:
    """One state in the history of a run; never changed once made."""

    id: UUID
    type: StateType
    name: str
    timestamp: datetime
    message: str | None
    #: opaque JSON text; None for null
    data: str | None
    #: `StateDetails` of the wire, without what is null. Times may be datetimes (just made)
    #: or text (from the database): read them by `moment`
    details: Mapping[str, Any]


def default_name(type: StateType) -> str:
    """The name of a state that was given none: its type, capitalised."""
    return _DEFAULT_NAMES[type]


def make_state(
    type: StateType,
    now: datetime,
    *,
    name: str | None = None,
    message: str | None = None,
    data: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> State:
    """A new state of that moment. SCHEDULED without `scheduled_time` is scheduled for now.

    Data that says of itself that it was not persisted is left out.
    """
    details = {} if details is None else details
    if data is not None and _says_unpersisted(data):
        data = None
    if type is StateType.SCHEDULED and details.get("scheduled_time") is None:
        details = {**details, "scheduled_time": now}
    return State(new_id(now), type, name or default_name(type), now, message, data, details)


def moment(state: State, key: str) -> datetime | None:
    """The time that stands under this key of the state's details; None when there is none."""
    value = state.details.get(key)
    if value is None or isinstance(value, datetime):
        return value
    time = datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def holds_result(state: State) -> bool:
    """Whether the state's data is a persisted result: an object not marked `unpersisted`."""
    if state.data is None:
        return False
    value = documents.load(state.data)
    return isinstance(value, dict) and value.get("type") != "unpersisted"


def _says_unpersisted(data: str) -> bool:
    # Most data is long and says nothing of the kind: it is not parsed.
    if '"unpersisted"' not in data:
        return False
    value = documents.load(data)
    return isinstance(value, dict) and value.get("type") == "unpersisted"


def same_transition(current: State | None, proposed: State) -> bool:
    """Whether both come of one proposal, which its sender repeats."""
    sent = proposed.details.get("transition_id")
    if sent is None or current is None:
        return False
    return str(sent) == str(current.details.get("transition_id"))
