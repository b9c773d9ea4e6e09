"""The SDK's states: what a run of this process is in, with its result still in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.sdk.errors import FailedRun

FINAL_TYPES = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


@dataclass(frozen=True, slots=True)
class State:
    """One state of a flow run or task run."""

    #: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED, PAUSED or CANCELLING
    type: str
    #: shown to people; the capitalised type unless it says more (`TimedOut`, `AwaitingRetry`)
    name: str
    message: str | None = None
    #: the result of a completed run, the exception of one that ended badly; never sent
    data: Any = field(default=None, repr=False, compare=False)
    #: when a SCHEDULED run is due
    scheduled_time: datetime | None = None

    def is_final(self) -> bool:
        """True when no further state follows by itself."""
        return self.type in FINAL_TYPES

    def is_completed(self) -> bool:
        """True when the run ended well."""
        return self.type == "COMPLETED"

    def is_failed(self) -> bool:
        """True when the run's code raised or took too long."""
        return self.type == "FAILED"

    def is_crashed(self) -> bool:
        """True when the run's process broke off."""
        return self.type == "CRASHED"

    def is_cancelled(self) -> bool:
        """True when somebody cancelled the run."""
        return self.type == "CANCELLED"

    def result(self, raise_on_failure: bool = True) -> Any:
        """The run's return value.

        A run that ended badly raises its own exception, or gives it without `raise_on_failure`.
        """
        if self.type == "COMPLETED":
            return self.data
        error = self.data
        if not isinstance(error, BaseException):
            error = FailedRun(
                f"the run is {self.name}" + (f": {self.message}" * bool(self.message))
            )
        if raise_on_failure:
            raise error
        return error

    def to_body(self) -> dict[str, Any]:
        """The state as the wire wants it proposed."""
        body: dict[str, Any] = {"type": self.type, "name": self.name}
        if self.message is not None:
            body["message"] = self.message
        if self.scheduled_time is not None:
            body["state_details"] = {"scheduled_time": self.scheduled_time}
        return body


def completed(data: Any = None, message: str | None = None, name: str = "Completed") -> State:
    """A state for a run that ended well; `data` is its result."""
    return State("COMPLETED", name, message, data)


def failed(
    error: BaseException | None = None, message: str | None = None, name: str = "Failed"
) -> State:
    """A state for a run whose code failed."""
    return State("FAILED", name, message if message is not None else describe(error), error)


def crashed(error: BaseException | None = None, message: str | None = None) -> State:
    """A state for a run whose process broke off."""
    return State("CRASHED", "Crashed", message if message is not None else describe(error), error)


def cancelled(message: str | None = None) -> State:
    """A state for a run that was cancelled."""
    return State("CANCELLED", "Cancelled", message)


def awaiting_retry(delay_seconds: float, message: str | None = None) -> State:
    """A state for a run that tries again after a delay."""
    due = datetime.now(UTC) + timedelta(seconds=delay_seconds)
    return State("SCHEDULED", "AwaitingRetry", message, scheduled_time=due)


PENDING = State("PENDING", "Pending")
RUNNING = State("RUNNING", "Running")
RETRYING = State("RUNNING", "Retrying")


def describe(error: BaseException | None) -> str | None:
    """An exception in one short text for a state's message."""
    if error is None:
        return None
    text = str(error)
    if len(text) > 2000:
        text = text[:2000] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def state_from_wire(body: dict[str, Any]) -> State:
    """The state that the server answered."""
    due = (body.get("state_details") or {}).get("scheduled_time")
    return State(
        body["type"],
        body.get("name") or body["type"].capitalize(),
        body.get("message"),
        scheduled_time=datetime.fromisoformat(due) if due else None,
    )
