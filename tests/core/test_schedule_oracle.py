"""Schedules held against other implementations, over many zones and the years 2000 to 2040."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from dateutil import rrule as du
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.contract.rest.schedules import RRuleSchedule
from penstock.core.schedules import next_dates

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "Europe/Dublin",  # its winter time is the one called saving
        "America/New_York",
        "America/Sao_Paulo",  # midnight was what did not exist
        "Australia/Lord_Howe",  # half an hour
        "Asia/Kolkata",
        "Africa/Casablanca",
        "Pacific/Apia",  # a whole day was left out
        "Asia/Pyongyang",
    ]
)
STARTS = st.datetimes(datetime(2000, 1, 1), datetime(2039, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, day=min(moment.day, 28))
)
#: dates that are compared
MOST = 100
MANY = settings(max_examples=60, deadline=None)


@lru_cache(maxsize=10_000)
def offsets_around(day: date, zone: str) -> list[timedelta]:
    """The zone's offsets from UTC on that day and the days beside it, in order."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    moments = [noon + timedelta(hours=hours) for hours in range(-48, 49)]
    found = [moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0) for moment in moments]
    return list(dict.fromkeys(found))


def instant(local: datetime, zone: str) -> datetime:
    """The moment when the zone's clocks show this: the first of two, and for none the one that
    the offset after the gap gives.
    """
    offsets = offsets_around(local.date(), zone)
    moments = [local.replace(tzinfo=UTC) - offset for offset in offsets]
    shown = [m for m in moments if m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local]
    return min(shown) if shown else moments[-1]


def rising(dates: Iterable[datetime]) -> Iterator[datetime]:
    """The dates without those that do not come after all before them."""
    last = datetime.min.replace(tzinfo=UTC)
    for found in dates:
        if found > last:
            yield (last := found)


def put_into_zone(
    locals: Iterable[datetime], zone: str, since: datetime, until: datetime
) -> list[datetime]:
    """The first dates that a schedule must give of these wall-clock times."""
    near = (x for x in locals if x >= since.replace(tzinfo=None) - timedelta(days=3))
    early = takewhile(lambda x: x < until.replace(tzinfo=None) + timedelta(days=3), near)
    dates = (instant(local, zone) for local in early)
    return list(islice(rising(date for date in dates if since <= date < until), MOST))


# Recurrence rules

FREQUENCIES = {
    "YEARLY": (du.YEARLY, timedelta(days=2000)),
    "MONTHLY": (du.MONTHLY, timedelta(days=600)),
    "WEEKLY": (du.WEEKLY, timedelta(days=120)),
    "DAILY": (du.DAILY, timedelta(days=40)),
    "HOURLY": (du.HOURLY, timedelta(days=10)),
    "MINUTELY": (du.MINUTELY, timedelta(days=2)),
}
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def few(values: Any) -> Any:
    return st.lists(values, min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: Any) -> tuple[str, dict[str, Any]]:
    """A rule as text, and as dateutil's own arguments."""
    name = draw(st.sampled_from(list(FREQUENCIES)))
    text, known = [f"FREQ={name}"], {"freq": FREQUENCIES[name][0]}

    def add(key: str, values: Any, argument: str | None = None) -> None:
        text.append(f"{key}={','.join(map(str, values))}")
        known[argument or key.lower()] = values

    # only rules that match again and again: dateutil would look until the year 9999
    days = name not in ("MINUTELY", "HOURLY")
    by_month = days and draw(st.booleans())
    by_day = draw(st.booleans())
    by_month_day = days and not by_day and name != "WEEKLY" and draw(st.booleans())
    free = name == "YEARLY" or (name == "WEEKLY" and not by_month)
    if draw(st.booleans()) and (free or not (by_month or by_day or by_month_day)):
        known["interval"] = draw(st.integers(1, 13))
        text.append(f"INTERVAL={known['interval']}")
    if by_month:
        add("BYMONTH", draw(few(st.integers(1, 12))))
    if by_day:
        picked = draw(few(st.integers(0, 6)))
        nth = draw(st.sampled_from([None, 1, 2, -1])) if name in ("MONTHLY", "YEARLY") else None
        text.append("BYDAY=" + ",".join(f"{nth or ''}{DAYS[day]}" for day in picked))
        known["byweekday"] = [du.weekday(day, nth) for day in picked]
    if by_month_day:
        add("BYMONTHDAY", draw(few(st.sampled_from([1, 13, 28, -1, -2]))))
    if name in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"):
        if draw(st.booleans()):
            add("BYHOUR", sorted(draw(few(st.integers(0, 23)))))
        if draw(st.booleans()):
            add("BYMINUTE", sorted(draw(few(st.sampled_from([0, 15, 30, 59])))))
        if draw(st.integers(0, 3)) == 0 and len(text) > 2:
            add("BYSETPOS", [draw(st.sampled_from([1, -1]))])
    if draw(st.integers(0, 3)) == 0:
        known["wkst"] = draw(st.integers(0, 6))
        text.append(f"WKST={DAYS[known['wkst']]}")
    return ";".join(text), known


@given(
    rule=rules(),
    zone=ZONES,
    begin=STARTS,
    after=st.integers(-40, 2000),
    bound=st.sampled_from(["", "COUNT", "UNTIL"]),
    number=st.integers(1, 60),
)
@MANY
def test_a_rule_gives_the_dates_that_dateutil_gives(
    rule: tuple[str, dict[str, Any]],
    zone: str,
    begin: datetime,
    after: int,
    bound: str,
    number: int,
) -> None:
    text, known = rule
    name = text.partition(";")[0].removeprefix("FREQ=")
    # a minutely rule that was begun years before takes the oracle long
    days = after % 10 if name in ("MINUTELY", "HOURLY") else after
    since = (begin + timedelta(days=days, hours=after % 24)).replace(tzinfo=UTC)
    until = since + FREQUENCIES[name][1]
    if bound == "COUNT":
        known, text = known | {"count": number}, f"{text};COUNT={number}"
    elif bound == "UNTIL":
        last = begin + FREQUENCIES[name][1] * number / 20
        last = last.replace(microsecond=0)
        known, text = known | {"until": last}, f"{text};UNTIL={last:%Y%m%dT%H%M%S}"
    schedule = {"rrule": f"DTSTART:{begin:%Y%m%dT%H%M%S}\nRRULE:{text}", "timezone": zone}
    RRuleSchedule.model_validate(schedule)
    found = list(islice(next_dates(schedule, since, until), MOST))
    expected = put_into_zone(du.rrule(dtstart=begin, **known), zone, since, until)
    assert found == expected


@given(
    rule=rules(),
    other=rules(),
    zone=ZONES,
    begin=STARTS,
    added=st.lists(st.integers(0, 60 * 24 * 20), max_size=4),
    left_out=st.lists(st.integers(0, 12), max_size=4),
    excluded=st.booleans(),
    named=st.booleans(),
)
@MANY
def test_a_set_gives_the_dates_that_dateutil_gives(
    rule: tuple[str, dict[str, Any]],
    other: tuple[str, dict[str, Any]],
    zone: str,
    begin: datetime,
    added: list[int],
    left_out: list[int],
    excluded: bool,
    named: bool,
) -> None:
    known = du.rruleset()
    (text, one), (other_text, two) = rule, other
    since = begin.replace(tzinfo=UTC) - timedelta(days=1)
    until = since + timedelta(days=15)
    # a set may leave out all that it has: dateutil would look until the year 9999
    end = {"until": begin + timedelta(days=20)}
    one, two = one | end, two | end
    known.rrule(du.rrule(dtstart=begin, **one))
    parameter = f";TZID={zone}" if named else ""
    lines = [f"DTSTART{parameter}:{begin:%Y%m%dT%H%M%S}", f"RRULE:{text}"]
    if excluded:
        known.exrule(du.rrule(dtstart=begin, **two))
    else:
        known.rrule(du.rrule(dtstart=begin, **two))
    lines.append(f"{'EXRULE' if excluded else 'RRULE'}:{other_text}")
    for minutes in added:
        date = begin + timedelta(minutes=minutes)
        known.rdate(date)
        lines.append(f"RDATE:{date:%Y%m%dT%H%M%S}")
    first = list(islice(du.rrule(dtstart=begin, **one), 13))
    for index in left_out:
        if index < len(first):
            known.exdate(first[index])
            lines.append(f"EXDATE{parameter}:{first[index]:%Y%m%dT%H%M%S}")
    schedule = {"rrule": "\n".join(lines), "timezone": zone}
    found = list(islice(next_dates(schedule, since, until), MOST))
    assert found == put_into_zone(known, zone, since, until)


@pytest.mark.parametrize("begin", ["19700131T090000", "19000131T090000"])
@pytest.mark.parametrize("rule", ["FREQ=MONTHLY", "FREQ=YEARLY", "FREQ=MONTHLY;INTERVAL=3"])
def test_a_rule_of_long_ago_still_gives_dates(begin: str, rule: str) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    schedule = {"rrule": f"DTSTART:{begin}\nRRULE:{rule}"}
    found = next(next_dates(schedule, since))
    assert found == datetime(2026, 1, 31, 9, tzinfo=UTC)


# Intervals


@given(
    days=st.integers(0, 40),
    seconds=st.integers(0, 86399),
    anchor=STARTS,
    since=STARTS,
    zone=ZONES,
)
@MANY
def test_an_interval_gives_the_dates_of_its_definition(
    days: int, seconds: int, anchor: datetime, since: datetime, zone: str
) -> None:
    assume(days or seconds)
    interval, began = timedelta(days=days, seconds=seconds), anchor.replace(tzinfo=UTC)
    start = since.replace(tzinfo=UTC)
    schedule = {"interval": interval, "anchor_date": began, "timezone": zone}
    # compat: to the last date before the start in absolute time, from there on the wall clock
    steps = (start - began).total_seconds() // interval.total_seconds()
    first = began + steps * interval
    wall = first.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expected = []
    for n in range(8):
        if days and n:
            local = wall + n * timedelta(days=days)
            base = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
            expected.append(base + n * timedelta(seconds=seconds))
        else:
            expected.append(first + n * interval)
    found = list(islice(next_dates(schedule, start), 6))
    assert found == list(rising(date for date in expected if date >= start))[: len(found)]
    assert len(found) == 6


# Cron

FIELDS = st.tuples(
    st.sampled_from(["*", "0", "7,37", "*/15", "5-10"]),
    st.sampled_from(["*", "0", "2", "*/5", "1-3", "23"]),
    st.sampled_from(["*", "1", "13", "28-31", "L"]),
    st.sampled_from(["*", "2", "3,10", "*/5", "JUN-SEP"]),
    st.sampled_from(["*", "0", "5", "MON-FRI", "SUN"]),
)


@given(fields=FIELDS, zone=ZONES, start=STARTS)
@MANY
def test_cron_gives_the_dates_that_cronsim_gives(
    fields: tuple[str, ...], zone: str, start: datetime
) -> None:
    expression = " ".join(fields)
    since = start.replace(tzinfo=UTC)
    until = since + timedelta(days=40)
    begin = start - timedelta(days=3)
    found = list(islice(next_dates({"cron": expression, "timezone": zone}, since, until), MOST))
    locals = (local for local in CronSim(expression, begin))
    assert found == put_into_zone(locals, zone, since, until)
