"""What a rule says about a proposed state: values, never exceptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.core.states import State

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a proposed state, or one rule's part in it."""

    status: SetStateStatus
    #: for people; no client reads it
    reason: str | None = None
    #: WAIT: seconds until the same proposal makes sense
    delay_seconds: int | None = None
    #: ACCEPT: the proposed state, amended. REJECT: what is written instead; None: nothing
    state: State | None = None
    #: columns of the run that change before the state is booked
    before: Mapping[str, Any] = field(default_factory=dict)
    #: columns of the run that change after the state is booked
    after: Mapping[str, Any] = field(default_factory=dict)
    #: the lease by which a slot of the deployment is taken with the state
    takes: UUID | None = None


#: the proposed state is written as it is
ACCEPT = Decision(SetStateStatus.ACCEPT)


def amend(
    state: State | None = None,
    *,
    before: Mapping[str, Any] = _NOTHING,
    after: Mapping[str, Any] = _NOTHING,
    takes: UUID | None = None,
) -> Decision:
    """Let the proposal pass, with more in it or with columns of the run changed too."""
    return Decision(SetStateStatus.ACCEPT, state=state, before=before, after=after, takes=takes)


def reject(reason: str, state: State | None = None, **before: Any) -> Decision:
    """Another state instead of the proposed one; without `state` the current one stays."""
    return Decision(SetStateStatus.REJECT, reason, state=state, before=before)


def wait(delay_seconds: int, reason: str) -> Decision:
    """Nothing is written; the sender proposes again after so many seconds."""
    return Decision(SetStateStatus.WAIT, reason, delay_seconds=delay_seconds)


def abort(reason: str) -> Decision:
    """Nothing is written; the sender stops."""
    return Decision(SetStateStatus.ABORT, reason)
