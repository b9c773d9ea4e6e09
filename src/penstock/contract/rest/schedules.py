"""Schedules: when the runs of a deployment start. The dates themselves are computed in core."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter
from dateutil.rrule import rrulestr
from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from penstock.contract.rest.wire import (
    NO_NUL,
    DateTime,
    Document,
    ShortText,
    WireAnswer,
    WireModel,
)

MAX_RRULE_CHARACTERS = 6500

#: Croniter fills in `H` and `R` by chance; a schedule must always give the same dates.
_CHANCE = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)
_INTERVAL_OF_ZERO = re.compile(r"INTERVAL=0+(?!\d)", re.IGNORECASE)
#: What dateutil raises on rules it cannot read.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


def check_timezone(name: str) -> str:
    """The name, if the time zone database knows it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "timezone", "'{name}' is not a time zone, such as Europe/Berlin", {"name": name}
        ) from None
    return name


def _ever_fires(cron: str) -> bool:
    try:
        croniter(cron, datetime(2024, 1, 1)).get_next()  # noqa: DTZ001 - any year will do
    except CroniterBadDateError:
        return False
    return True


def check_cron(cron: str) -> str:
    """The expression, if it has 5 fields, or 6 with seconds, or is an alias like `@daily`."""
    alias = cron.startswith("@")
    fields = len(cron.split())
    if _CHANCE.search(cron) and not alias:
        reason = "'H' and 'R' are not supported"
    elif not alias and fields not in (5, 6):
        reason = f"{fields} fields instead of 5 or 6"
    elif not croniter.is_valid(cron):
        reason = "not a cron expression"
    elif not _ever_fires(cron):
        reason = "no date ever matches it"
    else:
        return cron
    raise PydanticCustomError(
        "cron", "Invalid cron '{cron}': {reason}", {"cron": cron, "reason": reason}
    )


def check_rrule(rrule: str) -> str:
    """The rule, if it can be read as RFC 5545."""
    try:
        if _INTERVAL_OF_ZERO.search(rrule):
            raise ValueError("INTERVAL must be above 0")
        rrulestr(rrule, dtstart=datetime(2020, 1, 1), ignoretz=True)  # noqa: DTZ001 - syntax only
    except _UNREADABLE as error:
        raise PydanticCustomError(
            "rrule", "Invalid recurrence rule: {reason}", {"reason": str(error)[:200]}
        ) from None
    return rrule


def _positive(interval: timedelta) -> timedelta:
    if not timedelta(0) < interval <= timedelta(days=36_525):
        raise PydanticCustomError("interval", "The interval must be above 0 and at most 100 years")
    return interval


TimeZone = Annotated[str, StringConstraints(max_length=100), AfterValidator(check_timezone)]
Cron = Annotated[str, StringConstraints(pattern=NO_NUL, max_length=500), AfterValidator(check_cron)]
RRule = Annotated[
    str,
    StringConstraints(pattern=NO_NUL, max_length=MAX_RRULE_CHARACTERS),
    AfterValidator(check_rrule),
]
#: Seconds as a number, or an ISO 8601 duration.
Interval = Annotated[
    timedelta,
    AfterValidator(_positive),
    PlainSerializer(timedelta.total_seconds, return_type=float, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "duration"}, {"type": "number"}]},
        mode="validation",
    ),
]


class IntervalSchedule(WireModel):
    """A run every so often, counted from an anchor."""

    interval: Interval
    #: None: the time of creation.
    anchor_date: DateTime | SkipJsonSchema[None] = None
    timezone: TimeZone | None = None


class CronSchedule(WireModel):
    """Runs by a cron expression, in local time of the zone."""

    cron: Cron
    timezone: TimeZone | None = None
    #: Whether one matching day field (of month, of week) is enough when both are given.
    day_or: bool = True


class RRuleSchedule(WireModel):
    """Runs by a recurrence rule, in local time of the zone."""

    rrule: RRule
    timezone: TimeZone | None = "UTC"


Schedule = IntervalSchedule | CronSchedule | RRuleSchedule
MaxScheduledRuns = Annotated[int, Field(gt=0, le=50)]


class DeploymentScheduleCreate(WireModel):
    """A schedule to give to a deployment."""

    active: bool = True
    schedule: Schedule
    max_scheduled_runs: MaxScheduledRuns | None = None
    #: Override the deployment's parameters, key by key.
    parameters: Document = Field(default_factory=dict)
    slug: ShortText | None = None
    #: The slug of the schedule that this one renames.
    replaces: ShortText | None = None


class DeploymentScheduleUpdate(WireModel):
    """The changes of a schedule; only fields that were sent count."""

    active: bool | None = None
    schedule: Schedule | None = None
    max_scheduled_runs: MaxScheduledRuns | None = None
    parameters: Document = Field(default_factory=dict)
    slug: ShortText | None = None
    replaces: ShortText | None = None


class DeploymentSchedule(WireAnswer):
    """A schedule of a deployment."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    deployment_id: UUID | None = None
    schedule: Schedule
    active: bool = True
    max_scheduled_runs: int | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
