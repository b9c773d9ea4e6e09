"""Making states and reading their details."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from penstock.core.states import (
    StateType,
    default_name,
    holds_result,
    make_state,
    moment,
    same_transition,
)
from tests.core.runs import NOW, C, P, R, S, ahead, state


def test_a_state_without_a_name_is_named_after_its_type() -> None:
    assert default_name(StateType.CANCELLING) == "Cancelling"
    assert make_state(R, NOW).name == make_state(R, NOW, name="").name == "Running"
    assert make_state(R, NOW, name="Retrying").name == "Retrying"


def test_scheduled_without_a_time_is_scheduled_for_now() -> None:
    assert make_state(S, NOW).details == {"scheduled_time": NOW}
    later = {"scheduled_time": ahead(hours=1)}
    assert make_state(S, NOW, details=later).details == later
    assert make_state(P, NOW).details == {}


def test_times_in_details_are_read_from_text_too() -> None:
    assert moment(state(C), "scheduled_time") is None
    assert moment(state(S), "scheduled_time") == NOW
    at = datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert moment(state(S, scheduled_time="2026-01-02T03:00:00Z"), "scheduled_time") == at
    assert moment(state(S, scheduled_time="2026-01-02T03:00:00"), "scheduled_time") == at


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, False),
        ("null", False),
        ("[1]", False),
        ('{"type":"unpersisted"}', False),
        ('{"type":"reference"}', True),
        ("{}", True),
    ],
)
def test_a_persisted_result_is_an_object_not_marked_otherwise(
    data: str | None, expected: bool
) -> None:
    assert holds_result(state(C, data=data)) is expected


def test_a_transition_is_the_same_whether_its_id_is_text_or_not() -> None:
    id = uuid4()
    assert same_transition(state(P, transition_id=str(id)), state(R, transition_id=id))
    assert not same_transition(state(P, transition_id=uuid4()), state(R, transition_id=id))
    assert not same_transition(state(P), state(R, transition_id=id))
    assert not same_transition(None, state(R, transition_id=id))
    assert not same_transition(state(P), state(R))


def test_data_that_was_not_persisted_is_left_out() -> None:
    def kept(data: str) -> str | None:
        return make_state(C, NOW, data=data).data

    assert kept('{"type":"unpersisted"}') is None
    assert kept('["unpersisted"]') == '["unpersisted"]'
    assert kept('{"type":"result","of":"unpersisted"}') is not None
