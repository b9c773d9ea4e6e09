"""Reading what a client reports of its task runs."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from penstock.core.errors import InvalidInput
from penstock.core.states import StateType
from penstock.core.task_run_reports import is_newer, read_task_run_report
from tests.core.runs import NOW

TASK_RUN, FLOW_RUN, EVENT = UUID(int=1), UUID(int=2), UUID(int=3)
REPORT: dict[str, Any] = {
    "id": str(EVENT),
    "occurred": "2026-05-04T14:00:00+02:00",
    "event": "prefect.task-run.Completed",
    "resource": {
        "prefect.resource.id": f"prefect.task-run.{TASK_RUN}",
        "prefect.orchestration": "client",
    },
    "related": [
        {"prefect.resource.id": "prefect.flow.x", "prefect.resource.role": "flow"},
        {
            "prefect.resource.id": f"prefect.flow-run.{FLOW_RUN}",
            "prefect.resource.role": "flow-run",
        },
    ],
    "payload": {
        "validated_state": {
            "type": "COMPLETED",
            "name": "Cached",
            "message": "do\0ne",
            "state_details": {"cache_key": "k"},
            "data": {"type": "reference"},
        },
        "task_run": {
            "name": "add-0",
            "task_key": "add-1234",
            "dynamic_key": "0",
            "tags": ["a"],
            "labels": {},
            "task_inputs": {"x": []},
            "empirical_policy": {"retries": 1},
            "run_count": 1,
            "start_time": "2026-05-04T11:59:58Z",
            "end_time": None,
            "total_run_time": 1.5,
            "estimated_run_time": 2,
        },
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The report with one value replaced; `...` removes it."""
    event = copy.deepcopy(REPORT)
    *parents, last = path.split("/")
    place: Any = event
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return event


def test_a_report_gives_the_state_and_the_columns_it_names() -> None:
    report = read_task_run_report(REPORT)
    assert report is not None
    assert (report.task_run_id, report.flow_run_id) == (TASK_RUN, FLOW_RUN)
    assert (report.task_key, report.dynamic_key, report.tags) == ("add-1234", "0", ["a"])
    state = report.state
    assert (state.id, state.type, state.name) == (EVENT, StateType.COMPLETED, "Cached")
    assert (state.timestamp, state.message) == (NOW, "done")
    assert (state.data, state.details) == ('{"type":"reference"}', {"cache_key": "k"})
    assert report.columns == {
        "name": "add-0",
        "task_key": "add-1234",
        "dynamic_key": "0",
        "tags": '["a"]',
        "labels": "{}",
        "task_inputs": '{"x":[]}',
        "empirical_policy": '{"retries":1}',
        "run_count": 1,
        "start_time": NOW - timedelta(seconds=2),
        "total_run_time": 1.5,
        "state_id": EVENT,
        "state_type": StateType.COMPLETED,
        "state_name": "Cached",
        "state_timestamp": NOW,
    }


def test_only_a_newer_report_changes_the_columns() -> None:
    report = read_task_run_report(REPORT)
    assert report is not None
    assert is_newer(report, None)
    assert is_newer(report, NOW - timedelta(seconds=1))
    assert not is_newer(report, NOW)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event", "prefect.flow-run.Completed"),
        ("resource/prefect.orchestration", "server"),
        ("resource/prefect.orchestration", ...),
    ],
)
def test_other_events_are_no_reports(path: str, value: Any) -> None:
    assert read_task_run_report(changed(path, value)) is None


def test_values_may_be_parsed_already() -> None:
    event = changed("id", EVENT) | {"occurred": datetime(2026, 5, 4, 12, tzinfo=UTC)}
    assert read_task_run_report(event) == read_task_run_report(REPORT)


def test_a_task_run_may_stand_alone_and_say_little() -> None:
    event = changed("related", ...)
    event["payload"] = {
        "validated_state": {"type": "RUNNING"},
        "task_run": {"task_key": "k", "dynamic_key": "d"},
    }
    event["occurred"] = "2026-05-04T12:00:00"
    report = read_task_run_report(event)
    assert report is not None
    assert (report.flow_run_id, report.tags) == (None, None)
    assert (report.state.name, report.state.message, report.state.data) == ("Running", None, None)
    assert ("name" in report.columns, report.state.timestamp) == (False, NOW)


@pytest.mark.parametrize(("text", "seconds"), [("P1DT1H1M1.5S", 90061.5), ("PT2S", 2.0)])
def test_durations_may_be_in_iso_8601(text: str, seconds: float) -> None:
    report = read_task_run_report(changed("payload/task_run/total_run_time", text))
    assert report is not None
    assert report.columns["total_run_time"] == seconds


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "x"),
        ("occurred", "yesterday"),
        ("resource/prefect.resource.id", "prefect.task-run.x"),
        ("resource/prefect.resource.id", "prefect.flow-run.x"),
        ("resource/prefect.resource.id", ...),
        ("related", [{"prefect.resource.role": "flow-run"}]),
        ("payload", None),
        ("payload/task_run", []),
        ("payload/task_run/task_key", ...),
        ("payload/task_run/name", 1),
        ("payload/task_run/tags", [1]),
        ("payload/task_run/labels", []),
        ("payload/task_run/run_count", -1),
        ("payload/task_run/run_count", "1"),
        ("payload/task_run/start_time", 5),
        ("payload/task_run/total_run_time", "soon"),
        ("payload/validated_state", None),
        ("payload/validated_state/type", "DONE"),
        ("payload/validated_state/type", None),
        ("payload/validated_state/message", 1),
        ("payload/validated_state/state_details", [1]),
        # the rules, and answers, could not read these later
        ("payload/validated_state/state_details", {"scheduled_time": "soon"}),
        ("payload/validated_state/state_details", {"pause_timeout": 5}),
        ("payload/validated_state/state_details", {"more": 2**64}),
        ("payload/task_run/empirical_policy", {"retries": 10**30}),
        ("payload/task_run/empirical_policy", {"retry_delay": [10**400]}),
        ("payload/task_run/total_run_time", float("inf")),
    ],
)
def test_what_cannot_be_read_is_named(path: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_task_run_report(changed(path, value))
    assert raised.value.loc
    assert raised.value.message
