"""Logs over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio


def line(message: str, **fields: Any) -> dict[str, Any]:
    at = "2026-11-20T12:00:00+00:00"
    return {"name": "n", "level": 20, "message": message, "timestamp": at} | fields


async def test_lines_are_stored_and_found(api: Api) -> None:
    run = str(uuid4())
    answer = await api.call("POST", "/logs/", [line("a", flow_run_id=run), line("b")])
    assert (answer.status_code, answer.json()) == (201, None)
    found = await api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
    assert [x["message"] for x in found] == ["a"]
    assert found[0]["flow_run_id"] == run
    assert found[0]["timestamp"] == "2026-11-20T12:00:00Z"
    assert set(found[0]) == {
        *("id", "created", "updated", "name", "level", "message", "timestamp"),
        *("flow_run_id", "task_run_id"),
    }
    assert [x["message"] for x in await api.post("/logs/filter")] == ["a", "b"]
    page = {"sort": "TIMESTAMP_DESC", "limit": 1, "offset": 1}
    assert [x["message"] for x in await api.post("/logs/filter", page)] == ["a"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([line("a", level="high")], [0, "level"]),
        ([line("a"), line("b", colour="red")], [1, "colour"]),
        ([{"name": "n"}], [0, "level"]),
        ([line("a", timestamp="9999-12-31T23:59:59-01:00")], [0, "timestamp"]),
    ],
)
async def test_a_wrong_line_is_refused_by_place(api: Api, body: Any, place: list[Any]) -> None:
    answer = await api.call("POST", "/logs/", body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", *place]
    assert await api.post("/logs/filter") == []


async def test_a_page_larger_than_200_is_refused_in_the_words_clients_look_for(api: Api) -> None:
    answer = await api.call("POST", "/logs/filter", {"limit": 201})
    assert answer.status_code == 422
    assert "Invalid limit" in answer.text
