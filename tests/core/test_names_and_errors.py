"""Random names, ids, documents, and the messages of errors."""

import re

import pytest

from penstock.core import documents, errors, names
from penstock.core.ids import new_id
from penstock.core.names import random_name
from tests.core.runs import NOW


def test_random_names_leave_out_what_embarrasses(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = iter(["sexy-sturgeon", "fat-beaver", "pretty-robin"])
    monkeypatch.setattr(names, "_generator", lambda: lambda _: next(offered))
    assert random_name() == "pretty-robin"


def test_random_names_are_slugs_of_two_words() -> None:
    names = {random_name() for _ in range(50)}
    assert len(names) > 40
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in names)


def test_ids_are_of_version_7_and_of_their_moment() -> None:
    id = new_id(NOW)
    assert (id.version, id.variant) == (7, "specified in RFC 4122")
    assert id.int >> 80 == int(NOW.timestamp() * 1000)
    assert id != new_id(NOW)


def test_documents_keep_whole_numbers_of_any_size() -> None:
    huge = {"n": 2**80, "t": "é"}
    assert documents.dump(huge) == '{"n":1208925819614629174706176,"t":"é"}'
    assert documents.load(documents.dump({"n": 2**80, "m": -(2**64)})) == {
        "n": 2**80,
        "m": -(2**64),
    }
    assert documents.load(documents.dump({"a": [1.5, None]})) == {"a": [1.5, None]}


def test_a_document_nested_beyond_measure_is_an_error() -> None:
    deep = "[" * 1500 + "]" * 1500
    with pytest.raises(RecursionError):
        documents.load(deep)


def test_an_error_without_words_says_what_its_kind_means() -> None:
    assert str(errors.NotFound()) == "There is nothing with this id."
    assert errors.Locked(retry_after=2.5).retry_after == 2.5
    assert errors.Unavailable().retry_after == 1
    assert errors.InvalidInput("no").loc == ("body",)
    assert issubclass(errors.HydrationError, errors.BadRequest)
