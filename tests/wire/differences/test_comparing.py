"""How two answers are compared, without servers; and that meant differences are documented."""

from typing import Any

import pytest

from tests.wire.differences.compare import Comparison
from tests.wire.differences.contract import body_of, served_operations
from tests.wire.differences.expected import Expected, documented, matches, read_expected
from tests.wire.differences.pair import NOWHERE, Answer, Text, Value, error_of, for_side
from tests.wire.differences.registry import SEQUENCES
from tests.wire.differences.sequences import __all__ as modules

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
C, D = "cccccccc-0000-4000-8000-000000000000", "dddddddd-0000-4000-8000-000000000000"


def paths(theirs: Any, ours: Any, *sent: str) -> list[str]:
    """Where two values differ."""
    comparison = Comparison(set(sent))
    return [found.path for found in comparison.differences(theirs, ours)]


def test_an_id_stands_for_the_same_thing_everywhere() -> None:
    comparison = Comparison()
    assert comparison.differences({"id": A}, {"id": B}) == []
    assert comparison.differences([f"run {A}"], [f"run {B}"]) == []
    assert [f.path for f in comparison.differences({"x": A}, {"x": C})] == ["x"]
    assert [f.path for f in comparison.differences({"x": D}, {"x": B})] == ["x"]


def test_ids_may_be_keys() -> None:
    comparison = Comparison()
    comparison.differences([A], [B])
    assert comparison.differences({A: 1}, {B: 1}) == []
    assert [f.path for f in comparison.differences({A: 1}, {B: 2})] == [B]


def test_what_is_missing_and_what_is_of_another_type_differs() -> None:
    assert paths({"a": 1}, {}) == ["a"]
    assert paths({"a": None}, {}) == ["a"]
    assert paths({"a": 1}, {"a": True}) == ["a"]
    assert paths({"a": 1}, {"a": 1.0}) == ["a"]
    assert paths([1], [1, 2]) == [".length"]


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        ("2026-11-21T10:00:00.123456Z", "2026-11-21T10:00:01.654321Z", True),
        ("2026-11-21T10:00:00.123456Z", "2026-11-21T10:01:00.654321Z", False),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z", True),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:01Z", False),
        ("2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00Z", False),
    ],
)
def test_times_are_moments(theirs: str, ours: str, same: bool) -> None:
    assert (paths({"t": theirs}, {"t": ours}) == []) is same


def test_times_of_a_run_that_are_the_same_moment_are_so_in_both() -> None:
    early, late = "2026-11-21T10:00:00.000001Z", "2026-11-21T10:00:00.000002Z"
    theirs = {"start_time": early, "end_time": early}
    assert paths(theirs, {"start_time": late, "end_time": late}) == []
    assert paths(theirs, {"start_time": early, "end_time": late}) == ["start_time==end_time"]


def test_words_are_the_servers_own_unless_they_were_sent() -> None:
    theirs, ours = {"message": "All is well"}, {"message": "Fine"}
    assert paths(theirs, ours) == []
    assert paths(theirs, ours, "Fine") == ["message"]
    assert paths(theirs, {"message": None}) == ["message"]


def test_made_up_names_are_compared_by_their_look() -> None:
    assert paths({"name": "bald-eagle"}, {"name": "happy-owl"}) == []
    assert paths({"name": "bald-eagle"}, {"name": "Owl"}) == ["name"]
    assert paths({"name": "bald-eagle"}, {"name": "happy-owl"}, "bald-eagle") == ["name"]


def test_lists_of_the_same_things_differ_in_their_order_once() -> None:
    comparison = Comparison()
    comparison.differences([{"id": A}, {"id": C}], [{"id": B}, {"id": D}])
    theirs = [{"id": A, "n": 1}, {"id": C, "n": 2}]
    ours = [{"id": D, "n": 2}, {"id": B, "n": 1}]
    assert [f.path for f in comparison.differences(theirs, ours)] == [".order"]
    assert [f.path for f in comparison.differences(theirs, ours[:1])] == [".members"]
    assert paths([{"s": "a"}, {"s": "b"}], [{"s": "b"}, {"s": "a"}]) == [".order"]


def test_tags_are_a_set() -> None:
    assert paths({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == []
    assert paths({"tags": ["a", "b"]}, {"tags": ["b"]}) == ["tags.length", "tags[0]"]


def test_each_server_is_sent_its_own_values() -> None:
    answer = Answer("POST /flows/", None, (201, 201), ({"id": A, "l": [1]}, {"id": B}))
    body = {"flow_id": answer["id"], "text": Text("flow.{}", answer["id"]), "n": [answer["l"][0]]}
    assert for_side(body, 0) == {"flow_id": A, "text": f"flow.{A}", "n": [1]}
    assert for_side(body, 1) == {"flow_id": B, "text": f"flow.{B}", "n": [NOWHERE]}
    assert isinstance(answer["id"], Value)


def test_of_an_error_only_the_refused_fields_count() -> None:
    body = {"exception_detail": [{"loc": ["body", "name", "x"], "msg": "no", "type": "y"}]}
    assert error_of(body) == {"refused": ["body.name"]}
    assert error_of({"detail": "There is none"}) is None


def test_patterns_have_one_special_sign() -> None:
    assert matches("[].id", "[].*")
    assert not matches("x", "[x]")
    expected = Expected("w", ("GET *",), ("[].id",), theirs="null")
    assert expected.covers("GET /x", "[].id", None, 1)
    assert not expected.covers("GET /x", "[].id", 2, 1)
    of_a_request = Expected("w", ("*",), ("*",), request='*"type": "PENDING"*')
    assert of_a_request.covers("POST /x", "y", 1, 2, {"body": {"type": "PENDING"}})
    assert not of_a_request.covers("POST /x", "y", 1, 2, {"body": {"type": "RUNNING"}})


def test_every_meant_difference_is_in_the_document() -> None:
    assert {e.what for e in read_expected()} - documented() == set()


def test_the_sequences_and_the_contract_can_be_read() -> None:
    assert len(SEQUENCES) > len(modules)
    assert body_of("POST /flows/") is not None
    assert "GET /health" in served_operations()
