"""When the runs of a schedule start. A schedule is a document with the keys of the wire.

Schedules are taken as the contract has checked them: known zones, readable rules.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from dateutil.rrule import rrule, rrulestr

#: at most so many dates come of one call
MAX_CANDIDATES = 1000
MAX_AHEAD = timedelta(days=100)
#: how long a recurrence rule is followed without a match, in months (of a yearly rule: years)
MAX_MONTHS = 480
#: and how long before the wanted dates it may have begun, in months
MAX_MONTHS_AGO = 2400
#: how many dates before the wanted ones a recurrence rule may have
MAX_FOLLOWED = 100_000

_SECOND = timedelta(seconds=1)
_RRULE_ANCHOR = datetime(2020, 1, 1)  # noqa: DTZ001 - local time of the schedule's zone
_RRULE_TIME = "%Y%m%dT%H%M%S"
#: frequencies whose periods are all equally long, so that a start may be moved by them
_PERIODS = {
    "SECONDLY": _SECOND,
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}
_DTSTART = re.compile(r"DTSTART[^:\n]*:(\d{8}(?:T\d{6})?)Z?", re.IGNORECASE)
_NAMED_ZONE = re.compile(
    r"^((?:DTSTART|EXDATE)[^:\n]*?);TZID=[^:;\n]*", re.IGNORECASE | re.MULTILINE
)
_RULE_LINE = re.compile(r"^(?:(?:RRULE|EXRULE)[^:\n]*:|(?=FREQ=)|(?=.*;FREQ=))(.+)$", re.I | re.M)


def next_dates(
    schedule: Mapping[str, Any], start: datetime, end: datetime | None = None
) -> Iterator[datetime]:
    """The schedule's dates from `start` on, it included, in UTC and in order, each once.

    Ends before `end` and after 1000 dates. An interval without an anchor is counted from `start`.
    """
    if "interval" in schedule:
        dates = _interval_dates(schedule, start)
    elif "cron" in schedule:
        dates = _cron_dates(schedule, start)
    else:
        dates = _rrule_dates(schedule, start)
    last = start - _SECOND
    for date in islice((d for d in dates if d >= start), MAX_CANDIDATES):
        if end is not None and date >= end:
            return
        if date > last:
            last = date
            yield date


def dates_to_schedule(
    schedule: Mapping[str, Any],
    now: datetime,
    *,
    min_runs: int = 3,
    min_time: timedelta = timedelta(hours=1),
    max_runs: int = 100,
    max_time: timedelta = MAX_AHEAD,
) -> list[datetime]:
    """The dates for which runs shall exist now: enough of them, far enough ahead, not too many."""
    dates: list[datetime] = []
    for date in islice(next_dates(schedule, now, now + max_time), max_runs):
        dates.append(date)
        if len(dates) >= min_runs and date >= now + min_time:
            break
    return dates


def completed_schedule(schedule: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The schedule as it is stored: with the anchor or start that it was not given."""
    if "interval" in schedule:
        return {**schedule, "anchor_date": schedule.get("anchor_date") or now}
    if "rrule" in schedule and not _DTSTART.search(schedule["rrule"]):
        return {**schedule, "rrule": _with_start(schedule["rrule"], now, _zone(schedule))}
    return dict(schedule)


def schedule_kind(schedule: Mapping[str, Any]) -> str:
    """The name of the schedule's class, as the `created_by` of its runs shows it."""
    if "interval" in schedule:
        return "IntervalSchedule"
    return "CronSchedule" if "cron" in schedule else "RRuleSchedule"


def scheduled_run_key(
    deployment_id: UUID, schedule_id: UUID, schedule: Mapping[str, Any], date: datetime
) -> str:
    """The idempotency key of the run of that date; it holds the date in the schedule's zone."""
    return f"scheduled {deployment_id} {schedule_id} {date.astimezone(_zone(schedule))}"


def _zone(schedule: Mapping[str, Any]) -> ZoneInfo:
    return ZoneInfo(schedule.get("timezone") or "UTC")


def _attached(local: datetime, zone: ZoneInfo) -> datetime:
    """That wall-clock time in UTC: the first one of a doubled hour.

    compat: prefect 3.8.8. A time that does not exist is read with the offset after the gap.
    """
    first = local.replace(tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    return local.replace(tzinfo=zone, fold=1).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Dates from a first one on; whole days keep the wall clock, the rest is absolute."""

    first: datetime
    interval: timedelta
    zone: ZoneInfo

    def __iter__(self) -> Iterator[datetime]:
        yield self.first
        days = timedelta(days=self.interval.days)
        rest = self.interval - days
        local = self.first.astimezone(self.zone).replace(tzinfo=None)
        n = 0
        while True:
            n += 1
            if days:
                wall = (local + n * days).replace(tzinfo=self.zone)
                yield wall.astimezone(UTC) + n * rest
            else:
                yield self.first + n * rest


def _interval_dates(schedule: Mapping[str, Any], start: datetime) -> Iterator[datetime]:
    interval = schedule["interval"]
    if not isinstance(interval, timedelta):
        interval = timedelta(seconds=interval)
    anchor = schedule.get("anchor_date") or start
    if isinstance(anchor, str):
        anchor = datetime.fromisoformat(anchor)
    anchor = anchor.astimezone(UTC)
    # compat: prefect 3.8.8 jumps in absolute time, so the wall clock may move here
    first = anchor + (start - anchor) // interval * interval
    return iter(_Steps(first, interval, _zone(schedule)))


def _cron_dates(schedule: Mapping[str, Any], start: datetime) -> Iterator[datetime]:
    zone = _zone(schedule)
    local = start.astimezone(zone).replace(tzinfo=None)
    if local.microsecond:
        local = local.replace(microsecond=0) + _SECOND
    cron = croniter(
        schedule["cron"], local - _SECOND, ret_type=datetime, day_or=schedule.get("day_or", True)
    )
    # 30 February: there is no next date
    with suppress(CroniterBadDateError, OverflowError):
        while True:
            yield _attached(cron.get_next(datetime), zone)


class _FarEnough(Exception):
    """A rule has been followed for long without a match."""


class _Search(rrule):
    """A recurrence rule that gives up: one that never matches would be followed to year 9999.

    dateutil has no bound for that, but it looks at `_bynweekday` once per month or year.
    """

    def __init__(self, rule: rrule, since: datetime) -> None:
        self.__dict__.update(rule.__dict__)
        begun: datetime = self.__dict__["_dtstart"]
        ago = 12 * (since.year - begun.year) + since.month - begun.month
        self._most = MAX_MONTHS + min(max(0, ago), MAX_MONTHS_AGO)
        self._weekdays = self.__dict__.pop("_bynweekday")
        self._looks = 0

    @property
    def _bynweekday(self) -> Any:
        self._looks += 1
        if self._looks > self._most:
            raise _FarEnough
        return self._weekdays

    def _iter(self) -> Iterator[datetime]:
        with suppress(_FarEnough):
            yield from islice(super()._iter(), MAX_FOLLOWED)  # type: ignore[misc]  # the stubs leave it out


def _rrule_dates(schedule: Mapping[str, Any], start: datetime) -> Iterator[datetime]:
    zone = _zone(schedule)
    since = start.astimezone(zone).replace(tzinfo=None)
    # compat: the schedule's own zone counts, whatever the text names
    text = _near(_NAMED_ZONE.sub(r"\1", schedule["rrule"]), since)
    rules: Any = rrulestr(text, dtstart=_RRULE_ANCHOR, ignoretz=True, forceset=True)
    rules._rrule = [_Search(rule, since) for rule in rules._rrule]
    rules._exrule = [_Search(rule, since) for rule in rules._exrule]
    for local in rules.xafter(since, inc=True):
        yield _attached(local.replace(microsecond=0), zone)


def _parts(rule: str) -> dict[str, str]:
    return dict(part.upper().split("=", 1) for part in rule.split(";") if "=" in part)


def _latest_start(rule: str, anchor: datetime, until: datetime) -> datetime:
    """The last start of a period of the rule before `until`, counted from the anchor."""
    parts = _parts(rule)
    period = _PERIODS.get(parts.get("FREQ", ""))
    if period is None or "COUNT" in parts or until < anchor:
        return anchor
    step = period * int(parts.get("INTERVAL", "1"))
    return anchor + (until - anchor) // step * step


def _near(text: str, since: datetime) -> str:
    """The same dates after `since`, without counting every one since the rule's start."""
    rules, start = _RULE_LINE.findall(text), _DTSTART.search(text)
    if len(rules) != 1 or start is None:
        return text
    anchor = datetime.fromisoformat(start[1])
    moved = _latest_start(rules[0], anchor, since)
    return _DTSTART.sub(f"DTSTART:{moved.strftime(_RRULE_TIME)}", text)


def _with_start(rrule: str, now: datetime, zone: ZoneInfo) -> str:
    start = _RRULE_ANCHOR
    rules = _RULE_LINE.findall(rrule)
    if len(rules) == 1 and _parts(rules[0]).get("FREQ") in ("SECONDLY", "MINUTELY"):
        start = _latest_start(rules[0], start, now.astimezone(zone).replace(tzinfo=None))
    return f"DTSTART:{start.strftime(_RRULE_TIME)}\n{rrule}"
