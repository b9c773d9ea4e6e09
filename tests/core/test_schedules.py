"""The dates of schedules, across zones and changes of the clock."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.schedules import (
    completed_schedule,
    dates_to_schedule,
    next_dates,
    schedule_kind,
    scheduled_run_key,
)
from tests.core.runs import NOW, ahead

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
ZONES = ["UTC", BERLIN, NEW_YORK, "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def local(schedule: Mapping[str, Any], start: datetime, count: int) -> list[str]:
    """The first dates on the wall clock of the schedule's zone."""
    zone = ZoneInfo(schedule.get("timezone") or "UTC")
    dates = islice(next_dates(schedule, start), count)
    return [date.astimezone(zone).strftime("%m-%d %H:%M %z") for date in dates]


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


# Interval


def test_an_interval_is_counted_from_its_anchor_which_is_a_date_too() -> None:
    schedule = {"interval": 600.0, "anchor_date": "2026-05-04T12:00:00Z"}
    assert local(schedule, NOW, 2) == ["05-04 12:00 +0000", "05-04 12:10 +0000"]
    assert local(schedule, ahead(seconds=1), 1) == ["05-04 12:10 +0000"]
    assert local(schedule, NOW - timedelta(hours=1), 1) == ["05-04 11:00 +0000"]


def test_an_interval_without_an_anchor_starts_at_once() -> None:
    assert next(next_dates({"interval": timedelta(days=1)}, NOW)) == NOW


def test_whole_days_keep_the_wall_clock_across_a_change_of_the_clock() -> None:
    anchor = at("2026-03-27T09:00", BERLIN)
    schedule = {"interval": 86400, "anchor_date": anchor, "timezone": BERLIN}
    assert local(schedule, anchor, 4) == [
        "03-27 09:00 +0100",
        "03-28 09:00 +0100",
        "03-29 09:00 +0200",
        "03-30 09:00 +0200",
    ]


def test_a_daily_winter_anchor_moves_when_summer_dates_are_generated() -> None:
    # compat: prefect 3.8.8 jumps from the anchor in absolute time
    anchor = at("2026-01-01T09:00", BERLIN)
    schedule = {"interval": 86400, "anchor_date": anchor, "timezone": BERLIN}
    assert local(schedule, at("2026-07-01T00:00"), 1) == ["07-01 10:00 +0200"]


def test_hours_are_absolute_across_a_change_of_the_clock() -> None:
    anchor = at("2026-10-25T00:00", BERLIN)
    schedule = {"interval": 3600 * 6, "anchor_date": anchor, "timezone": BERLIN}
    assert local(schedule, anchor, 3) == [
        "10-25 00:00 +0200",
        "10-25 05:00 +0100",
        "10-25 11:00 +0100",
    ]


def test_days_and_hours_together_keep_the_clock_for_the_days() -> None:
    anchor = at("2026-03-28T00:00", BERLIN)
    schedule = {"interval": 86400 + 3600, "anchor_date": anchor, "timezone": BERLIN}
    assert local(schedule, anchor, 3) == [
        "03-28 00:00 +0100",
        "03-29 01:00 +0100",
        "03-30 02:00 +0200",
    ]


@given(
    seconds=st.integers(1, 10 * 86400),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
@settings(max_examples=100, deadline=None)
def test_interval_dates_rise_and_none_is_before_the_start(
    seconds: int, zone: str, start: datetime
) -> None:
    since = start.replace(tzinfo=UTC)
    schedule = {"interval": seconds, "anchor_date": "2025-02-03T04:05:06Z", "timezone": zone}
    dates = list(islice(next_dates(schedule, since), 50))
    assert len(dates) == 50
    assert since <= dates[0] < since + timedelta(seconds=seconds + 86400)
    steps = {b - a for a, b in pairwise(dates)}
    assert all(abs(s.total_seconds() - seconds) <= 86400 for s in steps)
    assert min(steps) > timedelta(0)


# Cron


def test_cron_keeps_the_wall_clock() -> None:
    schedule = {"cron": "0 9 * * *", "timezone": BERLIN}
    assert local(schedule, at("2026-03-28T00:00"), 3) == [
        "03-28 09:00 +0100",
        "03-29 09:00 +0200",
        "03-30 09:00 +0200",
    ]


def test_hourly_cron_skips_the_missing_hour_and_fires_once_in_the_doubled_one() -> None:
    schedule = {"cron": "0 * * * *", "timezone": BERLIN}
    assert local(schedule, at("2026-03-29T01:00", BERLIN), 2) == [
        "03-29 01:00 +0100",
        "03-29 03:00 +0200",
    ]
    assert local(schedule, at("2026-10-25T01:00", BERLIN), 3) == [
        "10-25 01:00 +0200",
        "10-25 02:00 +0200",
        "10-25 03:00 +0100",
    ]


def test_nothing_fires_in_the_second_pass_of_the_doubled_hour() -> None:
    second_pass = at("2026-10-25T01:10")  # 02:10 for the second time
    schedule = {"cron": "*/30 * * * *", "timezone": BERLIN}
    assert local(schedule, second_pass, 1) == ["10-25 03:00 +0100"]
    every_second = {"cron": "* * * * * *", "timezone": BERLIN}
    assert local(every_second, second_pass, 1) == ["10-25 03:00 +0100"]


def test_a_time_that_does_not_exist_fires_before_the_gap() -> None:
    # compat: prefect 3.8.8
    schedule = {"cron": "30 2 * * *", "timezone": NEW_YORK}
    assert local(schedule, at("2026-03-07T12:00"), 2) == ["03-08 01:30 -0500", "03-09 02:30 -0400"]


def test_the_start_counts_and_is_rounded_up_to_a_second() -> None:
    schedule = {"cron": "0 12 * * *"}
    assert next(next_dates(schedule, NOW)) == NOW
    assert next(next_dates(schedule, ahead(microseconds=1))) == ahead(days=1)


def test_cron_may_name_seconds_and_aliases() -> None:
    assert next(next_dates({"cron": "* * * * * 30"}, NOW)) == ahead(seconds=30)
    assert next(next_dates({"cron": "@daily"}, NOW)) == ahead(hours=12)


def test_both_day_fields_must_match_when_asked_to() -> None:
    either = {"cron": "0 0 13 * 5"}
    both = {**either, "day_or": False}
    assert local(either, NOW, 2) == ["05-08 00:00 +0000", "05-13 00:00 +0000"]
    assert local(both, NOW, 2) == ["11-13 00:00 +0000", "08-13 00:00 +0000"]


def test_a_cron_that_never_comes_gives_no_dates() -> None:
    assert list(next_dates({"cron": "0 0 30 2 *"}, NOW)) == []


MINUTES = st.sampled_from(["*", "0", "17", "*/20", "5,50", "10-12"])
HOURS = st.sampled_from(["*", "0", "5", "*/6", "8-18", "12,23"])
# without */9: cronsim, like Debian's cron, then wants both day fields to match
DAYS = st.sampled_from(["*", "1", "15", "2-30/9", "28-30"])
MONTHS = st.sampled_from(["*", "2", "*/4", "6-8", "JAN"])
WEEKDAYS = st.sampled_from(["*", "1", "0,6", "MON-FRI"])


@given(
    fields=st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
@settings(max_examples=100, deadline=None)
def test_cron_dates_are_those_of_another_implementation(
    fields: tuple[str, ...], zone: str, start: datetime
) -> None:
    expression = " ".join(fields)
    since = start.replace(microsecond=0, tzinfo=UTC)
    wall = since.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    until = since + timedelta(days=60)
    dates = list(islice(next_dates({"cron": expression, "timezone": zone}, since, until), 100))
    expected = [d for d in _oracle(expression, wall, zone, until) if d >= since]
    assert dates == list(dict.fromkeys(expected))[:100]


def _oracle(expression: str, wall: datetime, zone: str, until: datetime) -> Iterator[datetime]:
    """Wall-clock times by cronsim, put into the zone; those in a gap with the offset after it."""
    for local_time in islice(CronSim(expression, wall - timedelta(minutes=1)), 400):
        utc = local_time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if utc >= until:
            return
        if utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local_time:
            yield utc
        else:
            yield local_time.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)


# Recurrence rules


def test_a_rule_follows_its_start_and_its_zone() -> None:
    rule = "DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO"
    assert local({"rrule": rule, "timezone": BERLIN}, at("2026-03-20T00:00"), 2) == [
        "03-23 09:00 +0100",
        "03-30 09:00 +0200",
    ]


def test_until_is_read_on_the_wall_clock_and_count_from_the_start() -> None:
    until = {"rrule": "DTSTART:20260504T100000\nRRULE:FREQ=HOURLY;UNTIL=20260504T130000Z"}
    assert local(until, NOW, 9) == ["05-04 12:00 +0000", "05-04 13:00 +0000"]
    counted = {"rrule": "DTSTART:20260503T120000\nFREQ=DAILY;COUNT=3"}
    assert local(counted, NOW, 9) == ["05-04 12:00 +0000", "05-05 12:00 +0000"]


def test_dates_may_be_added_and_left_out() -> None:
    rule = (
        "DTSTART:20260504T120000\nRRULE:FREQ=DAILY;COUNT=3\n"
        "EXDATE:20260505T120000\nRDATE:20260504T180000"
    )
    assert local({"rrule": rule}, NOW, 9) == [
        "05-04 12:00 +0000",
        "05-04 18:00 +0000",
        "05-06 12:00 +0000",
    ]


def test_an_old_rule_of_every_second_is_answered_at_once_and_in_phase() -> None:
    rule = "DTSTART:20200101T000005\nRRULE:FREQ=SECONDLY;INTERVAL=7"
    first = next(next_dates({"rrule": rule}, NOW))
    elapsed = (first - at("2020-01-01T00:00:05")).total_seconds()
    assert elapsed % 7 == 0
    assert NOW <= first < ahead(seconds=7)


def test_a_rule_that_never_matches_ends() -> None:
    start = "DTSTART:20200101T000000\n"
    for rule in (
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=SECONDLY;COUNT=5;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY",
        "RRULE:FREQ=SECONDLY;COUNT=1000000000",
    ):
        dates = next_dates({"rrule": start + rule}, NOW, ahead(days=100))
        assert list(dates) == []


def test_several_rules_may_exclude_each_other() -> None:
    rule = "DTSTART:20260501T120000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SA,SU,MO,TU,WE"
    assert local({"rrule": rule}, NOW, 2) == ["05-07 12:00 +0000", "05-08 12:00 +0000"]


# What is stored, and what is made of it


def test_a_stored_schedule_has_an_anchor() -> None:
    assert completed_schedule({"interval": 60.0}, NOW) == {"interval": 60.0, "anchor_date": NOW}
    given = {"interval": 60.0, "anchor_date": "2026-01-01T00:00:00Z"}
    assert completed_schedule(given, NOW) == given
    assert completed_schedule({"cron": "@daily"}, NOW) == {"cron": "@daily"}


@pytest.mark.parametrize(
    ("rrule", "expected"),
    [
        ("FREQ=DAILY", "DTSTART:20200101T000000\nFREQ=DAILY"),
        ("RRULE:FREQ=WEEKLY", "DTSTART:20200101T000000\nRRULE:FREQ=WEEKLY"),
        (
            "FREQ=MINUTELY;INTERVAL=30",
            "DTSTART:20260504T140000\nFREQ=MINUTELY;INTERVAL=30",
        ),
        (
            "FREQ=SECONDLY;COUNT=9",
            "DTSTART:20200101T000000\nFREQ=SECONDLY;COUNT=9",
        ),
        ("DTSTART:20260101T000000\nFREQ=DAILY", "DTSTART:20260101T000000\nFREQ=DAILY"),
    ],
)
def test_a_stored_rule_has_a_start(rrule: str, expected: str) -> None:
    stored = completed_schedule({"rrule": rrule, "timezone": BERLIN}, ahead(minutes=29))
    assert stored == {"rrule": expected, "timezone": BERLIN}


@pytest.mark.parametrize(
    ("schedule", "count"),
    [
        ({"interval": 1200, "anchor_date": ahead(seconds=-1)}, 4),
        ({"interval": 86400, "anchor_date": ahead(seconds=-1)}, 3),
        ({"interval": 1}, 100),
        ({"interval": 86400 * 60}, 2),
        ({"cron": "0 0 1 1 *"}, 0),
    ],
)
def test_runs_are_made_for_an_hour_and_three_times_ahead_within_bounds(
    schedule: dict[str, Any], count: int
) -> None:
    assert len(dates_to_schedule(schedule, NOW)) == count


def test_the_key_of_a_scheduled_run_holds_its_local_time() -> None:
    deployment, schedule = UUID(int=1), UUID(int=2)
    date = at("2026-11-20T23:00")
    key = scheduled_run_key(deployment, schedule, {"timezone": BERLIN}, date)
    assert key == f"scheduled {deployment} {schedule} 2026-11-21 00:00:00+01:00"


def test_a_schedule_is_told_by_its_keys() -> None:
    kinds = [schedule_kind({key: 1}) for key in ("interval", "cron", "rrule")]
    assert kinds == ["IntervalSchedule", "CronSchedule", "RRuleSchedule"]
