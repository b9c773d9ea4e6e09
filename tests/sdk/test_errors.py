"""What the user reads when something went wrong."""

import pytest

from penstock.sdk.errors import error_from_answer
from penstock.sdk.settings import read_settings
from penstock.sdk.tracebacks import traceback_of_user_code


def _entry(*loc: str | int, msg: str, kind: str) -> dict[str, object]:
    return {"loc": ["body", *loc], "msg": msg, "type": kind}


def test_a_bad_cron_is_told_without_the_other_kinds_of_schedules() -> None:
    at = ("schedules", 0, "schedule")
    answer = {
        "detail": [
            _entry(*at, "IntervalSchedule", "interval", msg="Field required", kind="missing"),
            _entry(*at, "IntervalSchedule", "timezone", msg="no zone", kind="value_error"),
            _entry(*at, "CronSchedule", "timezone", msg="no zone", kind="value_error"),
            _entry(*at, "CronSchedule", "cron", msg="bad cron", kind="value_error"),
            _entry(*at, "RRuleSchedule", "cron", msg="extra", kind="extra_forbidden"),
            _entry("name", msg="Field required", kind="missing"),
        ]
    }
    told = str(error_from_answer(422, answer, "POST /deployments/"))
    assert told == (
        "POST /deployments/: schedules.0.schedule.timezone: no zone; "
        "schedules.0.schedule.cron: bad cron; name: Field required"
    )


def test_only_missing_credentials_are_asked_for() -> None:
    assert "PENSTOCK_API_KEY" in str(error_from_answer(401, {"detail": "who?"}, "GET /flows"))
    refused = error_from_answer(403, {"detail": "That name is reserved"}, "POST /flows/")
    assert str(refused) == "POST /flows/: That name is reserved"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://here:4200", "http://here:4200/api"),
        ("http://here:4200/", "http://here:4200/api"),
        ("here:4200", "http://here:4200/api"),
        ("http://here:4200/api/", "http://here:4200/api"),
        ("https://here/proxied/api", "https://here/proxied/api"),
        ("here:4200/api", "http://here:4200/api"),
    ],
)
def test_an_address_alone_stands_for_the_api_of_the_server(given: str, root: str) -> None:
    assert read_settings({"PENSTOCK_API_URL": given}).api_url == root


def test_a_traceback_shows_the_users_frames_only() -> None:
    from penstock.sdk.parameters import bind

    def wants_one(number: int) -> None: ...

    with pytest.raises(TypeError) as raised:
        bind(wants_one, (), {})
    told = traceback_of_user_code(raised.value)
    assert "test_errors.py" in told
    assert "parameters.py" not in told
    assert told.endswith("missing a required argument: 'number'")
