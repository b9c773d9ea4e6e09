"""Arithmetic of limits: decay, denial, occupancy and waits."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.concurrency_rules import (
    MAX_RATE_WAIT_SECONDS,
    Limit,
    decide_grant,
    free_slots,
    limit_at,
    retry_after,
    spread,
    task_wait_seconds,
    with_slots_back,
    with_slots_taken,
)
from penstock.core.ids import new_id
from tests.core.runs import NOW, ago, ahead


def a_limit(**fields: object) -> Limit:
    known: dict[str, object] = {
        "id": new_id(NOW),
        "name": "a",
        "limit": 10,
        "active": True,
        "active_slots": 0,
        "denied_slots": 0,
        "slot_decay_per_second": 0.0,
        "avg_slot_occupancy_seconds": 2.0,
        "updated": NOW,
    }
    return Limit(**(known | fields))  # type: ignore[arg-type]  # fields of a test


def test_slots_of_a_rate_limit_come_back_by_themselves() -> None:
    limit = a_limit(active_slots=10, slot_decay_per_second=0.5, updated=ago(seconds=7))
    assert limit_at(limit, NOW).active_slots == 7
    assert free_slots(limit, NOW) == 3
    assert free_slots(limit, ahead(hours=1)) == 10
    assert limit_at(a_limit(active_slots=10, updated=ago(days=9)), NOW).active_slots == 10


def test_a_clock_that_goes_back_takes_no_slot() -> None:
    limit = a_limit(active_slots=4, slot_decay_per_second=1.0, updated=ahead(seconds=5))
    assert limit_at(limit, NOW) == limit


@given(st.lists(st.floats(0.001, 3), min_size=1, max_size=30), st.floats(0.01, 20))
def test_no_part_of_a_slot_is_lost_however_often_a_limit_is_written(
    gaps: list[float], decay: float
) -> None:
    limit = start = a_limit(active_slots=1000, slot_decay_per_second=decay)
    now = NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        limit = limit_at(limit, now)
    assert abs(limit.active_slots - limit_at(start, now).active_slots) <= 1


def test_slots_are_granted_by_all_limits_or_by_none() -> None:
    free, full = a_limit(active_slots=8), a_limit(active_slots=9)
    granted, changed = decide_grant([free], 2, NOW)
    assert (granted, changed[0].active_slots) == (True, 10)
    granted, changed = decide_grant([free, full], 2, NOW)
    assert not granted
    assert [(limit.id, limit.active_slots, limit.denied_slots) for limit in changed] == [
        (full.id, 9, 2)
    ]
    assert decide_grant([], 1, NOW) == (True, [])
    assert with_slots_taken(full, 2, NOW) is None


def test_what_is_given_back_never_goes_below_nothing_or_what_leases_hold() -> None:
    limit = a_limit(active_slots=3)
    assert with_slots_back(limit, 2, NOW).active_slots == 1
    assert with_slots_back(limit, 5, NOW).active_slots == 0
    assert with_slots_back(limit, 5, NOW, leased=2).active_slots == 2
    rate = replace(limit, slot_decay_per_second=1.0)
    assert with_slots_back(rate, 5, NOW, leased=2).active_slots == 0


def test_the_average_occupancy_follows_what_is_told() -> None:
    limit = a_limit(active_slots=2, limit=2)
    assert with_slots_back(limit, 2, NOW).avg_slot_occupancy_seconds == 2.0
    assert with_slots_back(limit, 2, NOW, 20.0).avg_slot_occupancy_seconds == 4.0
    assert with_slots_back(limit, 1, NOW, 0.001).avg_slot_occupancy_seconds == 1.525
    assert with_slots_back(a_limit(limit=0), 1, NOW, 1.0).avg_slot_occupancy_seconds == 1.5


def test_denied_slots_are_forgotten_in_time() -> None:
    assert limit_at(a_limit(denied_slots=5, updated=ago(seconds=4)), NOW).denied_slots == 3
    slow = a_limit(denied_slots=5, avg_slot_occupancy_seconds=900.0, updated=ago(seconds=60))
    assert limit_at(slow, NOW).denied_slots == 3
    of_tag = replace(slow, name="tag:a")
    assert limit_at(of_tag, NOW).denied_slots == 0
    rate = a_limit(denied_slots=5, slot_decay_per_second=0.1, updated=ago(seconds=10))
    assert limit_at(rate, NOW).denied_slots == 4


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (a_limit(denied_slots=5), 1.0),
        (a_limit(denied_slots=500), 30.0),
        (a_limit(denied_slots=500, name="tag:a"), 10.0),
        (a_limit(denied_slots=1, limit=1, avg_slot_occupancy_seconds=900.0), 30.0),
        (a_limit(denied_slots=4, slot_decay_per_second=0.5), 8.0),
        (a_limit(denied_slots=4, slot_decay_per_second=1e-9), MAX_RATE_WAIT_SECONDS),
        (a_limit(denied_slots=1, limit=0), 2.0),
    ],
)
def test_who_is_denied_waits_for_the_limit_in_most_demand(limit: Limit, seconds: float) -> None:
    waits = [retry_after([a_limit(denied_slots=1), limit], draw) for draw in (0.0, 0.5, 1.0)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(seconds * 0.7)
    assert waits[2] == pytest.approx(seconds * 1.3)


def test_waits_of_task_runs_are_whole_seconds_and_never_none() -> None:
    assert task_wait_seconds([a_limit(avg_slot_occupancy_seconds=0.1)], 0.5) == 1
    assert 7 <= task_wait_seconds([a_limit(avg_slot_occupancy_seconds=900.0)], 0.5) <= 13


@given(st.floats(0.1, 4000), st.floats(0, 1))
def test_a_wait_is_spread_by_a_third_at_most(seconds: float, draw: float) -> None:
    assert seconds * 0.699 <= spread(seconds, draw) <= seconds * 1.301
