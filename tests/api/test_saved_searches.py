"""Saved searches."""

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio

FILTER = {"object": "flow", "property": "name", "type": "string", "operation": "is", "value": [1]}


async def test_a_search_is_kept_replaced_by_name_found_and_deleted(api: Api) -> None:
    first = await api.call("PUT", "/saved_searches/", {"name": "s", "filters": [FILTER]})
    assert (first.status_code, first.json()["filters"]) == (201, [FILTER])
    again = await api.call("PUT", "/saved_searches/", {"name": "s"})
    assert (again.status_code, again.json()["filters"]) == (200, [])
    assert again.json()["id"] == first.json()["id"]
    path = f"/saved_searches/{first.json()['id']}"
    assert await api.get(path) == again.json()
    await api.delete(path)
    assert (await api.call("GET", path)).status_code == 404
    assert (await api.call("DELETE", path)).status_code == 404


async def test_searches_are_listed_by_name_page_by_page(api: Api) -> None:
    for name in ("b", "c", "a"):
        await api.call("PUT", "/saved_searches/", {"name": name})

    async def names(**body: int) -> list[str]:
        return [s["name"] for s in await api.post("/saved_searches/filter", body)]

    assert await names() == ["a", "b", "c"]
    assert await names(limit=1, offset=1) == ["b"]
    assert await names(limit=0) == []


async def test_a_criterion_without_its_parts_is_refused(api: Api) -> None:
    bad = {"name": "s", "filters": [{"object": "flow"}]}
    for body in (bad, {"filters": []}, {"name": "a\0"}, {"name": "s", "more": 1}):
        assert (await api.call("PUT", "/saved_searches/", body)).status_code == 422
