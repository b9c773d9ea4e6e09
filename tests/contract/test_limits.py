"""What the shapes refuse, and what they take and put right."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from penstock.contract.enums import StateType
from penstock.contract.rest.deployments import DeploymentCreate
from penstock.contract.rest.events import Event
from penstock.contract.rest.filters import FlowFilter, FlowRunFilter
from penstock.contract.rest.flow_runs import (
    DeploymentFlowRunCreate,
    FlowRunCreate,
    FlowRunsBulkDeleteBody,
    FlowRunsFilterBody,
)
from penstock.contract.rest.flows import FlowCreate
from penstock.contract.rest.logs import LogCreate
from penstock.contract.rest.penstock import AttemptRenewal
from penstock.contract.rest.schedules import (
    CronSchedule,
    DeploymentScheduleCreate,
    IntervalSchedule,
    RRuleSchedule,
)
from penstock.contract.rest.states import OrchestrationResult, SetStateBody, StateAbortDetails
from penstock.contract.rest.task_runs import TaskRunCreate
from penstock.contract.rest.work_pools import WorkPoolCreate
from penstock.contract.rest.work_queues import WorkQueueCreate

FLOW = {"flow_id": str(uuid4())}
STATE = {"state": {"type": "RUNNING"}}
LOG = {"name": "n", "level": 20, "message": "m", "timestamp": "2026-01-01T00:00:00Z"}
RESOURCE = {"prefect.resource.id": "prefect.flow-run.1"}
EVENT = {"id": str(uuid4()), "occurred": "2026-01-01T00:00:00Z", "event": "e", "resource": RESOURCE}


def read(shape: type[Any], **fields: Any) -> Any:
    """The shape read from JSON, as a request is."""
    return TypeAdapter(shape).validate_json(json.dumps(fields))


def refusal(shape: type[Any], **fields: Any) -> str:
    """The type of the first error."""
    with pytest.raises(ValidationError) as refused:
        read(shape, **fields)
    return refused.value.errors()[0]["type"]


@pytest.mark.parametrize("character", [*"/%&><", "\0"])
@pytest.mark.parametrize(
    ("shape", "fields"),
    [(FlowCreate, {}), (DeploymentCreate, FLOW), (WorkPoolCreate, {}), (WorkQueueCreate, {})],
)
def test_a_name_that_becomes_part_of_a_path_refuses(
    shape: type[BaseModel], fields: dict[str, Any], character: str
) -> None:
    assert refusal(shape, name=f"a{character}b", **fields) == "string_pattern_mismatch"
    assert refusal(shape, name="", **fields) == "string_pattern_mismatch"
    assert refusal(shape, name="a" * 501, **fields) == "string_too_long"
    read(shape, name='Größe "a" 日本\n' + "a" * 480, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "\0"},
        {"tags": ["a\0"]},
        {"idempotency_key": "\0"},
        {"labels": {"\0": 1}},
        {"labels": {"a": "\0"}},
        {"flow_version": "\0"},
        {"work_queue_name": "\0"},
        {"state": {"type": "PENDING", "name": "\0"}},
        {"state": {"type": "PENDING", "state_details": {"cache_key": "\0"}}},
    ],
)
def test_plain_text_with_nul_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(FlowRunCreate, **FLOW, **fields)


def test_nul_in_filters_is_refused_before_a_database_sees_it() -> None:
    assert refusal(FlowFilter, name={"any_": ["\0"]}) == "string_pattern_mismatch"
    assert refusal(FlowFilter, name={"like_": "\0"}) == "string_pattern_mismatch"


def test_nul_in_what_a_program_said_is_dropped() -> None:
    body = read(SetStateBody, state={"type": "FAILED", "message": "a\0b"})
    assert body.state.message == "ab"
    event = read(Event, **EVENT | {"resource": RESOURCE | {"prefect.state-message": "a\0b"}})
    assert event["resource"]["prefect.state-message"] == "ab"


def test_nul_in_documents_is_kept() -> None:
    assert read(FlowRunCreate, **FLOW, parameters={"a\0": "\0"}).parameters == {"a\0": "\0"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (DeploymentFlowRunCreate, '{"parameters": {"a": [{"b": %s}]}}'),
        (DeploymentFlowRunCreate, '{"context": {"a": %s}}'),
        (DeploymentFlowRunCreate, '{"job_variables": {"a": %s}}'),
        (DeploymentFlowRunCreate, '{"labels": {"a": %s}}'),
        (SetStateBody, '{"state": {"type": "COMPLETED", "data": %s}}'),
        (Event, json.dumps(EVENT)[:-1] + ', "payload": {"a": %s}}'),
    ],
)
def test_numbers_that_json_lacks_are_refused(
    shape: type[BaseModel], body: str, number: str
) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(shape).validate_json(body % number)


def test_words_that_look_like_such_numbers_and_huge_integers_are_kept() -> None:
    parameters = {"a": "NaN", "b": ["Infinity", 1.5, None], "c": 2**200}
    assert read(FlowRunCreate, **FLOW, parameters=parameters).parameters == parameters


def test_parameters_above_512_kib_are_refused() -> None:
    fits = 512 * 1024 - len('{"a":""}')
    read(DeploymentFlowRunCreate, parameters={"a": "x" * fits})
    assert (
        refusal(DeploymentFlowRunCreate, parameters={"a": "x" * (fits + 1)}) == "document_too_large"
    )


def test_integers_that_would_overflow_a_column_are_refused() -> None:
    assert refusal(LogCreate, **LOG | {"level": 2**31}) == "less_than_equal"
    policy = {"retries": -(2**31) - 1}
    assert refusal(FlowRunCreate, **FLOW, empirical_policy=policy) == "greater_than_equal"
    assert refusal(WorkQueueCreate, name="q", priority=0) == "greater_than"
    assert refusal(FlowRunsFilterBody, offset=2**63) == "less_than_equal"
    assert refusal(FlowRunsFilterBody, offset=-1) == "greater_than_equal"


@pytest.mark.parametrize("limit", [-1, 201, 2**70])
def test_a_limit_out_of_range_is_refused_in_the_words_clients_look_for(limit: int) -> None:
    with pytest.raises(ValidationError, match="Invalid limit"):
        read(FlowRunsFilterBody, limit=limit)


def test_a_limit_may_be_0_and_is_200_when_absent() -> None:
    assert read(FlowRunsFilterBody, limit=0).limit == 0
    assert read(FlowRunsFilterBody).limit == 200


def test_times_become_utc_and_naive_ones_are_utc_already() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for text in ("2026-01-01T12:00:00", "2026-01-01T12:00:00Z", "2026-01-01T14:00:00+02:00"):
        stamp = read(LogCreate, **LOG | {"timestamp": text})["timestamp"]
        assert stamp == noon
        assert stamp.tzinfo is UTC


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"])
def test_times_outside_the_calendar_in_utc_are_refused(text: str) -> None:
    assert refusal(LogCreate, **LOG | {"timestamp": text}) == "datetime_out_of_range"


def test_unknown_fields_are_refused_where_the_contract_does() -> None:
    assert refusal(FlowRunCreate, **FLOW, flow_name="x") == "extra_forbidden"
    assert refusal(FlowRunFilter, ids={}) == "extra_forbidden"
    assert refusal(FlowRunsBulkDeleteBody, flow_run={}) == "extra_forbidden"
    read(FlowRunsFilterBody, future_field=1)
    read(SetStateBody, **STATE, future_field=1)
    read(Event, **EVENT, future_field=1)


def test_only_fields_that_were_sent_are_set() -> None:
    body = read(DeploymentCreate, **FLOW, name="d", tags=["a"])
    assert body.model_fields_set == {"flow_id", "name", "tags"}


def test_a_long_idempotency_key_is_bounded_in_bytes() -> None:
    read(FlowRunCreate, **FLOW, idempotency_key="k" * 1024)
    assert refusal(FlowRunCreate, **FLOW, idempotency_key="𝄞" * 501) == "key_too_long"
    assert refusal(FlowRunCreate, **FLOW, idempotency_key="k" * 1025) == "string_too_long"


def test_labels_keep_the_type_of_their_values() -> None:
    labels = {"a": True, "b": 1, "c": 1.0, "d": "1"}
    read_back = read(FlowCreate, name="f", labels=labels).labels
    assert read_back == labels
    assert read_back is not None
    assert [type(v) for v in read_back.values()] == [bool, int, float, str]


@pytest.mark.parametrize(
    "cron", ["* * * * *", "0 9 * * MON-FRI", "*/5 0 * * THU", "@daily", "0 0 1 MAR * 30"]
)
def test_a_cron_expression_is_taken(cron: str) -> None:
    assert read(CronSchedule, cron=cron, timezone="Europe/Berlin").cron == cron


@pytest.mark.parametrize(
    "cron",
    [
        "0 9 31 2 *",
        "",
        "x",
        "* * * *",
        "61 * * * *",
        "H * * * *",
        "R * * * *",
        "0 0 1 1 * 0 2030",
        "@x",
    ],
)
def test_a_wrong_cron_expression_is_refused(cron: str) -> None:
    assert refusal(CronSchedule, cron=cron) == "cron"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "/etc/localtime", "a\0"])
@pytest.mark.parametrize(
    ("shape", "fields"),
    [(CronSchedule, {"cron": "* * * * *"}), (IntervalSchedule, {"interval": 60})],
)
def test_an_unknown_time_zone_is_refused(
    shape: type[BaseModel], fields: dict[str, Any], zone: str
) -> None:
    assert refusal(shape, timezone=zone, **fields) == "timezone"


@pytest.mark.parametrize(
    "rrule",
    [
        "FREQ=DAILY",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20300101T000000Z",
        "DTSTART:20260101T090000\nRRULE:FREQ=DAILY;INTERVAL=10\nEXDATE:20260111T090000",
    ],
)
def test_a_recurrence_rule_is_taken(rrule: str) -> None:
    assert read(RRuleSchedule, rrule=rrule).timezone == "UTC"


@pytest.mark.parametrize(
    "rrule", ["", "x", "FREQ=SOMETIMES", "FREQ=DAILY;INTERVAL=0", "FREQ", "FREQ=DAILY;BYDAY=XX"]
)
def test_a_wrong_recurrence_rule_is_refused(rrule: str) -> None:
    assert refusal(RRuleSchedule, rrule=rrule) == "rrule"


def test_a_recurrence_rule_above_6500_characters_is_refused() -> None:
    assert refusal(RRuleSchedule, rrule="FREQ=DAILY;" + " " * 6500) == "string_too_long"


@pytest.mark.parametrize("interval", [0, -1, 36_526 * 86_400])
def test_an_interval_out_of_range_is_refused(interval: float) -> None:
    assert refusal(IntervalSchedule, interval=interval) == "interval"


def test_an_interval_is_read_as_seconds_or_duration_and_written_as_seconds() -> None:
    for sent in (90, 90.0, "PT1M30S"):
        schedule = read(IntervalSchedule, interval=sent)
        assert schedule.interval == timedelta(seconds=90)
        assert schedule.model_dump(mode="json")["interval"] == 90.0


def test_schedules_are_told_apart_by_their_keys() -> None:
    for fields, shape in [
        ({"interval": 60}, IntervalSchedule),
        ({"cron": "* * * * *"}, CronSchedule),
        ({"rrule": "FREQ=DAILY"}, RRuleSchedule),
    ]:
        assert isinstance(read(DeploymentScheduleCreate, schedule=fields).schedule, shape)
    with pytest.raises(ValidationError):
        read(DeploymentScheduleCreate, schedule={"interval": 60, "cron": "* * * * *"})


def test_an_event_names_its_resources() -> None:
    assert refusal(Event, **EVENT | {"resource": {"a": "b"}}) == "resource_label"
    assert refusal(Event, **EVENT, related=[RESOURCE]) == "resource_label"
    role = {"prefect.resource.role": "flow"}
    assert read(Event, **EVENT, related=[RESOURCE | role])["related"] == [RESOURCE | role]


def test_an_event_is_bounded() -> None:
    related = [RESOURCE | {"prefect.resource.role": "tag"}] * 101
    assert refusal(Event, **EVENT, related=related) == "too_long"
    assert refusal(Event, **EVENT | {"event": "e" * 1025}) == "string_too_long"
    labels = RESOURCE | {str(n): "" for n in range(500)}
    assert refusal(Event, **EVENT | {"resource": labels}) == "too_long"
    assert refusal(Event, **EVENT, payload={"a": "x" * 1_500_000}) == "document_too_large"


def test_a_task_run_keeps_the_kinds_of_its_inputs() -> None:
    inputs = {"x": [{"input_type": "task_run", "id": str(uuid4())}, {"name": "p"}]}
    body = read(TaskRunCreate, task_key="t", dynamic_key="0", task_inputs=inputs)
    assert [i.input_type for i in body.task_inputs["x"]] == ["task_run", "parameter"]


def test_a_client_reads_answers_with_fields_it_does_not_know() -> None:
    result = read(
        OrchestrationResult,
        state=None,
        status="ABORT",
        details={"type": "abort_details", "reason": "lost", "later": 1},
        later=1,
    )
    assert result.details == StateAbortDetails(reason="lost")
    renewal = read(
        AttemptRenewal,
        flow_run_id=str(uuid4()),
        lease_seconds=30,
        state_type="CANCELLING",
        state_name="Cancelling",
    )
    assert renewal.state_type is StateType.CANCELLING


@pytest.mark.parametrize("document", [None, {}, {"a": [1, 2.5, "x", None, True]}])
def test_documents_are_kept_as_they_are(document: dict[str, Any] | None) -> None:
    assert read(SetStateBody, state={"type": "COMPLETED", "data": document}).state.data == document
    body = read(DeploymentFlowRunCreate, parameters=document or {}, job_variables=document)
    assert body.parameters == (document or {})
    assert body.job_variables == document
    assert read(Event, **EVENT, payload=document or {})["payload"] == (document or {})
