"""What a client's report of a task run says: its state, and the columns of its task run.

The client has orchestrated the task itself; nothing is decided here.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from penstock.core import documents
from penstock.core.errors import InvalidInput
from penstock.core.states import State, StateType, default_name

_EVENT_PREFIX = "prefect.task-run."
_RESOURCE_PREFIX = "prefect.task-run."
_FLOW_RUN_PREFIX = "prefect.flow-run."
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d*)?)S)?)?"
)


class TaskRunReport(NamedTuple):
    """One state of one task run, as its client reported it."""

    task_run_id: UUID
    #: None for a task run outside any flow run
    flow_run_id: UUID | None
    #: with `flow_run_id` the natural key of a task run
    task_key: str
    dynamic_key: str
    #: its id is the event's
    state: State
    #: the task run's tags, when the report has them
    tags: list[str] | None
    #: columns of the task run to set when what is stored is older; documents as JSON text
    columns: dict[str, Any]


def is_newer(report: TaskRunReport, stored: datetime | None) -> bool:
    """Whether the report's columns replace those of a task run whose state is of that time."""
    return stored is None or stored < report.state.timestamp


def read_task_run_report(event: Mapping[str, Any]) -> TaskRunReport | None:
    """The report in an event with the wire's keys; None when the event is not one.

    Only events of runs that the client orchestrates are reports. InvalidInput names the place
    that cannot be read.
    """
    resource = event["resource"]
    if not str(event["event"]).startswith(_EVENT_PREFIX):
        return None
    if resource.get("prefect.orchestration") != "client":
        return None
    task_run_id = _id_after(_RESOURCE_PREFIX, resource.get("prefect.resource.id"), "resource")
    payload = event.get("payload") or {}
    task_run = _mapping(payload, "task_run")
    columns = _columns(task_run)
    for key in ("task_key", "dynamic_key"):
        if key not in columns:
            raise InvalidInput(f"A task run needs a {key}", ("payload", "task_run", key))
    state = _state(event, _mapping(payload, "validated_state"))
    columns["state_id"] = state.id
    columns["state_type"] = state.type
    columns["state_name"] = state.name
    columns["state_timestamp"] = state.timestamp
    return TaskRunReport(
        task_run_id,
        _flow_run_id(event),
        columns["task_key"],
        columns["dynamic_key"],
        state,
        task_run.get("tags"),
        columns,
    )


def _columns(task_run: Mapping[str, Any]) -> dict[str, Any]:
    columns = {}
    key = ""
    try:
        for key, value in task_run.items():
            read = _COLUMNS.get(key)
            if read is not None and value is not None:
                columns[key] = read(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise _unreadable(key, e) from None
    return columns


def _state(event: Mapping[str, Any], reported: Mapping[str, Any]) -> State:
    type = _TYPES.get(str(reported.get("type")))
    if type is None:
        raise InvalidInput(
            f"{reported.get('type')!r} is not a state type", ("payload", "validated_state", "type")
        )
    data, message = reported.get("data"), reported.get("message")
    return State(
        id=_read(_id, event["id"], "id"),
        type=type,
        name=str(reported.get("name") or default_name(type)),
        timestamp=_read(_time, event["occurred"], "occurred"),
        message=None if message is None else _read(_text, message, "message"),
        data=None if data is None else documents.dump(data),
        details=_details(_mapping(reported, "state_details"))
        if reported.get("state_details")
        else {},
    )


def _details(details: dict[str, Any]) -> dict[str, Any]:
    """State details as they were sent, if the rules and the answers can read them later."""
    for key in _TIMES_OF_DETAILS:
        if details.get(key) is not None:
            _read(_time, details[key], key)
    _read(_answerable, details, "state_details")
    return details


def _flow_run_id(event: Mapping[str, Any]) -> UUID | None:
    for related in event.get("related") or ():
        if related.get("prefect.resource.role") == "flow-run":
            return _id_after(_FLOW_RUN_PREFIX, related.get("prefect.resource.id"), "related")
    return None


def _id_after(prefix: str, text: Any, place: str) -> UUID:
    if not isinstance(text, str) or not text.startswith(prefix):
        raise InvalidInput(f"The id must start with {prefix}", (place, "prefect.resource.id"))
    return _read(_id, text.removeprefix(prefix), place)  # type: ignore[no-any-return]


def _mapping(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise InvalidInput(f"{key} must be an object", ("payload", key))
    return value


def _read(read: Callable[[Any], Any], value: Any, key: str) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise _unreadable(key, e) from None


def _unreadable(key: str, error: Exception) -> InvalidInput:
    return InvalidInput(f"{key} cannot be read: {error}", ("payload", "task_run", key))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value.replace("\0", "")


#: the states of a flow run's tasks come together and name the same runs
_id_of_text = lru_cache(maxsize=4096)(UUID)


def _id(value: Any) -> UUID:
    return value if isinstance(value, UUID) else _id_of_text(value)


def _time(value: Any) -> datetime:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if time.tzinfo is UTC:
        return time
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("not a count")
    return int(value)


def _duration(value: Any) -> float:
    """Seconds, written as a number or in ISO 8601."""
    if not isinstance(value, str):
        seconds = float(value)
        if not math.isfinite(seconds):
            raise ValueError("not a duration")
        return seconds
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError("not a duration")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _tags(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise TypeError("not a list of texts")
    return documents.dump(value) if value else documents.EMPTY_ARRAY


def _answerable(value: Any) -> str:
    """The JSON text of what answers spell anew: its whole numbers fit in 64 bits."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def _policy(value: Any) -> str:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return _answerable(value) if value else documents.EMPTY_OBJECT


def _object(value: Any) -> str:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return documents.dump(value) if value else documents.EMPTY_OBJECT


_TYPES = {t.value: t for t in StateType}
_TIMES_OF_DETAILS = ("scheduled_time", "pause_timeout", "cache_expiration")
#: the columns a report may set, and how their values are read
_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "task_key": _text,
    "dynamic_key": _text,
    "cache_key": _text,
    "cache_expiration": _time,
    "task_version": _text,
    "empirical_policy": _policy,
    "tags": _tags,
    "labels": _object,
    "task_inputs": _object,
    "run_count": _count,
    "flow_run_run_count": _count,
    "expected_start_time": _time,
    "start_time": _time,
    "end_time": _time,
    "total_run_time": _duration,
}
