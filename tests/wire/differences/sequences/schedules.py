"""Schedules: the same runs at the same times; schedules changed by slug and by id."""

from typing import Any

from tests.wire.differences.pair import NOWHERE, Answer, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow

PATH = "/deployments/{id}/schedules"

#: the last Sundays of March and October are when clocks change in Europe
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"cron": "0 9 * * *"},
    {"cron": "0 9 * * *", "timezone": "Europe/Berlin"},
    {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
    {"cron": "0 * * * *", "timezone": "Europe/Berlin"},
    {"cron": "*/30 1-3 * * *", "timezone": "America/New_York"},
    {"cron": "0 0 13 * 5", "timezone": "UTC"},
    {"cron": "0 0 13 * 5", "timezone": "UTC", "day_or": False},
    {"cron": "0 12 L * *"},
    {"cron": "0 9 * * MON-FRI", "timezone": "Australia/Lord_Howe"},
    {"cron": "@daily", "timezone": "Asia/Kathmandu"},
    {"cron": "@hourly"},
    {"cron": "*/10 * * * * *"},
    {"cron": "0 0 29 2 *"},
    {"cron": "0 0 * * 1#2"},
    {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"},
    {"interval": 3600.5, "anchor_date": "2026-01-01T00:00:00Z"},
    {"interval": 86400, "anchor_date": "2026-01-01T09:00:00+01:00", "timezone": "Europe/Berlin"},
    {"interval": 86400, "anchor_date": "2026-07-01T09:00:00+02:00", "timezone": "Europe/Berlin"},
    {"interval": 604800, "anchor_date": "2026-01-05T08:30:00Z", "timezone": "America/New_York"},
    {"interval": 43200, "anchor_date": "2026-01-01T09:00:00Z", "timezone": "Europe/London"},
    {"interval": 5400, "anchor_date": "2027-03-28T00:00:00+01:00", "timezone": "Europe/Berlin"},
    {"interval": 86400, "anchor_date": "2040-01-01T00:00:00Z"},
    {"interval": 86400, "anchor_date": "2026-01-01T09:00:00+05:30"},
    {"rrule": "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0"},
    {"rrule": "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "timezone": "Europe/Berlin"},
    {"rrule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY", "timezone": "Europe/Berlin"},
    {"rrule": "DTSTART:20260101T023000\nRRULE:FREQ=DAILY", "timezone": "Europe/Berlin"},
    {"rrule": "DTSTART:20260101T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20270401T000000Z"},
    {"rrule": "DTSTART:20260101T000000\nFREQ=MONTHLY;BYDAY=-1FR"},
    {"rrule": "RRULE:FREQ=HOURLY;INTERVAL=7", "timezone": "America/New_York"},
    {"rrule": "FREQ=MONTHLY;BYMONTHDAY=31"},
    {"rrule": "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30", "timezone": "Europe/Berlin"},
    {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY;COUNT=5"},
    {
        "rrule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY\nEXDATE:20270327T090000",
        "timezone": "Europe/Berlin",
    },
    {"rrule": "DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY\nRDATE:20270326T120000"},
)
REFUSED: tuple[Any, ...] = (
    {"cron": ""},
    {"cron": "x"},
    {"cron": "61 * * * *"},
    {"cron": "R * * * *"},
    {"cron": "H * * * *"},
    {"cron": "0 9 * * *", "timezone": "Mars/Phobos"},
    {"cron": "0 9 * * *", "day_or": "maybe"},
    {"cron": "0 9 * * *", "no_such_field": 1},
    {"interval": 0},
    {"interval": -5},
    {"interval": "x"},
    {"interval": 60, "timezone": "Mars/Phobos"},
    {"interval": 60, "anchor_date": "x"},
    {"rrule": ""},
    {"rrule": "FREQ=SOMETIMES"},
    {"rrule": "FREQ=DAILY", "timezone": "Mars/Phobos"},
    {"rrule": "FREQ=DAILY;X=1"},
    {"rrule": "x" * 6501},
    {},
    None,
    {"cron": "0 9 * * *", "interval": 60},
)
#: days in which the clocks of Europe, America and Lord Howe Island change
WINDOWS = (
    ("2027-03-26T00:00:00Z", "2027-03-30T00:00:00Z"),
    ("2026-12-30T10:10:10Z", "2027-01-05T00:00:00Z"),
    ("2027-10-30T00:00:00Z", "2027-11-09T00:00:00Z"),
)


def _runs(pair: Pair, deployment: Answer) -> None:
    body = {
        "flow_runs": {"deployment_id": {"any_": [deployment["id"]]}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    pair.post("/flow_runs/filter", body)


@sequence
def scheduled_times(pair: Pair) -> None:
    """Each schedule makes its runs in windows around changes of the clock."""
    flow = make_flow(pair)
    for i, schedule in enumerate(SCHEDULES):
        for j, (start, end) in enumerate(WINDOWS):
            deployment = make_deployment(
                pair, flow, f"d{i}-{j}", schedules=[{"schedule": schedule}]
            )
            body = {"start_time": start, "end_time": end, "max_runs": 12}
            pair.post("/deployments/{id}/schedule", body, id=deployment["id"])
            _runs(pair, deployment)


@sequence
def schedules_refused(pair: Pair) -> None:
    """Schedules that make no sense."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    for schedule in REFUSED:
        pair.post(PATH, [{"schedule": schedule}], id=deployment["id"])
    for extra in (
        {"slug": "Not A Slug"},
        {"slug": ""},
        {"max_scheduled_runs": 51},
        {"max_scheduled_runs": 0},
        {"max_scheduled_runs": 5},
        {"active": "x"},
        {"parameters": [1]},
        {"parameters": {"x": 1}},
        {"no_such_field": 1},
        {"replaces": "x"},
    ):
        pair.post(PATH, [{"schedule": {"cron": "0 9 * * *"}, **extra}], id=deployment["id"])
    pair.get(PATH, id=deployment["id"])


@sequence
def schedules_by_id(pair: Pair) -> None:
    """Add, read, change, delete one by one; the runs that go with them."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow, tags=["t"], parameters={"a": 1, "b": 2})
    daily = {"schedule": {"interval": 86400, "anchor_date": "2026-01-01T00:00:00Z"}}
    pair.post(PATH, [], id=deployment["id"])
    named = {**daily, "slug": "one", "parameters": {"b": 3}}
    made = pair.post(PATH, [named], id=deployment["id"])
    later = {"schedule": {"interval": 86400, "anchor_date": "2026-01-01T01:00:00Z"}}
    pair.post(PATH, [later], id=deployment["id"])
    pair.post(PATH, [{**daily, "slug": "one"}], id=deployment["id"])
    pair.post(PATH, [daily], id=NOWHERE)
    pair.get(PATH, id=deployment["id"])
    pair.get(PATH, id=NOWHERE)
    window = {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-04T00:00:00Z"}
    pair.post("/deployments/{id}/schedule", window, id=deployment["id"])
    _runs(pair, deployment)
    pair.post("/deployments/{id}/schedule", window, id=deployment["id"])
    _runs(pair, deployment)
    one = "/deployments/{id}/schedules/{schedule_id}"
    ids = {"id": deployment["id"], "schedule_id": made[0]["id"]}
    for body in (
        {"active": False},
        {"schedule": {"cron": "0 8 * * *"}},
        {"slug": "renamed"},
        {"max_scheduled_runs": 7},
        {"max_scheduled_runs": 99},
        {"parameters": {"c": 1}},
        {"parameters": None},
        {"schedule": None},
        {"schedule": {"cron": "x"}},
        {"replaces": "x"},
        {},
        {"no_such_field": 1},
    ):
        pair.patch(one, body, **ids)
        pair.get(PATH, id=deployment["id"])
    _runs(pair, deployment)
    pair.post("/deployments/{id}/schedule", window, id=deployment["id"])
    _runs(pair, deployment)
    pair.delete(one, **ids)
    pair.delete(one, **ids)
    _runs(pair, deployment)
    pair.patch(one, {"active": True}, **ids)


@sequence
def schedules_for_a_while(pair: Pair) -> None:
    """Runs are made for a window, for a time at least, at most so many."""
    flow = make_flow(pair)
    daily = {"schedule": {"interval": 86400, "anchor_date": "2026-01-01T00:00:00Z"}}
    for i, body in enumerate(
        (
            {},
            {"start_time": "x"},
            {"min_runs": 0},
            {"max_runs": 0},
            {"min_runs": 2, "max_runs": 1},
            {"min_time": -5},
            {"max_runs": 10_001},
            {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-04T00:00:00Z"},
            {
                "start_time": "2030-01-01T00:00:00Z",
                "end_time": "2030-01-04T00:00:00Z",
                "min_runs": 2,
                "max_runs": 2,
            },
            {"start_time": "2031-01-01T00:00:00Z", "min_runs": 2, "min_time": 0},
        )
    ):
        deployment = make_deployment(pair, flow, f"d{i}", schedules=[daily])
        pair.post("/deployments/{id}/schedule", body, id=deployment["id"])
        _runs(pair, deployment)
    pair.post("/deployments/{id}/schedule", id=NOWHERE)


@sequence
def schedules_by_slug(pair: Pair) -> None:
    """PATCH of a deployment's schedules: merged by slug, replaced, renamed."""
    flow = make_flow(pair)
    nine, ten = {"cron": "0 9 * * *"}, {"cron": "0 10 * * *"}
    both = [{"schedule": nine, "slug": "a", "parameters": {"p": 1}}, {"schedule": ten, "slug": "b"}]
    for i, patch in enumerate(
        (
            [{"slug": "a", "active": False}],
            [{"slug": "a", "schedule": ten}],
            [{"slug": "c", "schedule": ten}],
            [{"slug": "c"}],
            [{"schedule": ten}],
            [],
            None,
            [{"slug": "x", "replaces": "a"}],
            [{"slug": "x", "replaces": "a", "schedule": ten, "active": False}],
            [{"slug": "b", "replaces": "a"}],
            [{"slug": "x", "replaces": "a"}, {"slug": "y", "replaces": "a"}],
            [{"slug": "x", "replaces": "nobody"}],
            [{"slug": "x", "replaces": "nobody", "schedule": ten}],
            [{"slug": "a", "replaces": "a"}],
            [{"slug": "a", "schedule": ten}, {"slug": "a", "schedule": nine}],
            [{"slug": "a", "parameters": None}],
            [{"slug": "a", "parameters": {}}],
            [{"slug": "a", "max_scheduled_runs": 5}],
            [{"slug": "a", "replaces": "b"}, {"slug": "b", "replaces": "a"}],
            [{"slug": "b", "active": False}, {"slug": "new", "schedule": nine}],
        )
    ):
        deployment = make_deployment(pair, flow, f"d{i}", schedules=both)
        pair.patch("/deployments/{id}", {"schedules": patch}, id=deployment["id"])
        pair.get(PATH, id=deployment["id"])
    bare = make_deployment(pair, flow, "bare", schedules=[{"schedule": nine}, {"schedule": ten}])
    for patch in ([{"slug": "a", "active": True}], [{"schedule": ten, "slug": "a"}], []):
        pair.patch("/deployments/{id}", {"schedules": patch}, id=bare["id"])
        pair.get(PATH, id=bare["id"])
    for fields in ({}, {"schedules": []}, {"schedules": both}, {"schedules": both[:1]}):
        make_deployment(pair, flow, "d0", **fields)
    make_deployment(pair, flow, "twice", schedules=[both[0], both[0]])


@sequence
def scheduled_runs_removed(pair: Pair) -> None:
    """Pausing, resuming, patching and redeploying remove runs that were only planned."""
    flow = make_flow(pair)
    schedule = {"schedule": {"interval": 86400, "anchor_date": "2026-01-01T00:00:00Z"}}
    window = {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-03T12:00:00Z"}
    overdue = {"start_time": "2026-11-01T00:00:00Z", "end_time": "2026-11-03T12:00:00Z"}
    for i, change in enumerate(("pause", "resume", "patch", "upsert", "tag", "delete")):
        deployment = make_deployment(pair, flow, f"d{i}", schedules=[schedule])
        pair.post("/deployments/{id}/create_flow_run", {"name": "mine"}, id=deployment["id"])
        for times in (window, overdue):
            pair.post("/deployments/{id}/schedule", times, id=deployment["id"])
        _runs(pair, deployment)
        match change:
            case "pause" | "resume":
                for _ in range(2):
                    pair.post(f"/deployments/{{id}}/{change}_deployment", id=deployment["id"])
                    pair.get("/deployments/{id}", id=deployment["id"])
            case "patch":
                pair.patch("/deployments/{id}", {"paused": True}, id=deployment["id"])
            case "upsert":
                make_deployment(pair, flow, f"d{i}", schedules=[schedule])
            case "tag":
                pair.patch("/deployments/{id}", {"tags": ["new"]}, id=deployment["id"])
            case "delete":
                pair.delete("/deployments/{id}", id=deployment["id"])
        _runs(pair, deployment)
        pair.post("/deployments/{id}/schedule", window, id=deployment["id"])
        _runs(pair, deployment)
    pair.post("/deployments/{id}/pause_deployment", id=NOWHERE)
    pair.post("/deployments/{id}/resume_deployment", id=NOWHERE)
