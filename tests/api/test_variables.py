"""Variables: names, values, filters; and that runs can refer to them."""

from typing import Any

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio

MISSING = "00000000-0000-0000-0000-000000000001"


async def make(api: Api, name: str, value: Any = 1, **fields: Any) -> Any:
    return await api.post("/variables/", {"name": name, "value": value, **fields})


async def names(api: Api, **body: Any) -> list[str]:
    return [v["name"] for v in await api.post("/variables/filter", body)]


async def test_a_variable_is_found_changed_and_deleted_by_id_and_by_name(api: Api) -> None:
    made = await make(api, "v", {"b": 1, "a": [1.5, None]}, tags=["x", "y"])
    assert made["value"] == {"b": 1, "a": [1.5, None]}
    assert await api.get("/variables/name/v") == await api.get(f"/variables/{made['id']}") == made
    await api.patch("/variables/name/v", {"value": None})
    await api.patch(f"/variables/{made['id']}", {"name": "w", "tags": []})
    changed = await api.get("/variables/name/w")
    assert (changed["value"], changed["tags"], changed["created"]) == (None, [], made["created"])
    assert changed["updated"] > made["updated"]
    await api.delete("/variables/name/w")
    for path in (f"/variables/{made['id']}", "/variables/name/w"):
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"value": 1})):
            assert (await api.call(method, path, body)).status_code == 404
    other = await make(api, "other")
    await api.delete(f"/variables/{other['id']}")
    assert await api.post("/variables/count") == 0


@pytest.mark.parametrize("name", ["UP", "a b", "a/b", "é", "a\0", "a\n", "x" * 256])
async def test_a_name_has_lower_case_letters_digits_dashes_and_underscores(
    api: Api, name: str
) -> None:
    refused = await api.call("POST", "/variables/", {"name": name, "value": 1})
    assert refused.status_code == 422
    await make(api, "x" * 255)


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "x", [], {}, "a\0b", 10**30, "x" * 4998, {"k": [{"n": None}]}]
)
async def test_a_value_is_any_json_and_comes_back_as_it_was(api: Api, value: Any) -> None:
    made = await make(api, "v", value)
    assert made["value"] == value
    assert type(made["value"]) is type(value)


async def test_a_value_has_at_most_5000_characters_of_json(api: Api) -> None:
    for value in ("x" * 4999, ["é"] * 1500):
        refused = await api.call("POST", "/variables/", {"name": "v", "value": value})
        assert refused.status_code == 422
    await make(api, "v", "é" * 4998)
    refused = await api.call("PATCH", "/variables/name/v", {"value": "x" * 4999})
    assert refused.status_code == 422


async def test_a_name_is_used_once(api: Api) -> None:
    await make(api, "one")
    await make(api, "two")
    taken = await api.call("POST", "/variables/", {"name": "one", "value": 2})
    assert taken.status_code == 409
    for change in ({"name": "one"}, {"name": None}, {"tags": None}):
        assert (await api.call("PATCH", "/variables/name/two", change)).status_code == 409
    await api.patch("/variables/name/two", {"name": "two"})
    assert (await api.get("/variables/name/one"))["value"] == 1


async def test_lists_are_filtered_by_id_name_and_tags(api: Api) -> None:
    first = await make(api, "alpha", tags=["t", 'q"u,o'])
    await make(api, "be_ta", tags=["t", "a,", "b"])
    await make(api, "gamma")

    async def found(operator: str = "and_", **criteria: Any) -> list[str]:
        return await names(api, variables={"operator": operator, **criteria})

    assert await found() == ["alpha", "be_ta", "gamma"]
    assert await found(id={"any_": [first["id"], MISSING]}) == ["alpha"]
    assert await found(name={"any_": ["gamma", "none"]}) == ["gamma"]
    assert await found(name={"like_": "AMM"}) == ["gamma"]
    assert await found(name={"like_": "_"}) == ["be_ta"]
    assert await found(tags={"all_": ["t"]}) == ["alpha", "be_ta"]
    assert await found(tags={"all_": ['q"u,o', "t"]}) == ["alpha"]
    assert await found(tags={"all_": [","]}) == []
    assert await found(tags={"all_": []}) == ["alpha", "be_ta", "gamma"]
    assert await found(tags={"is_null_": True}) == ["gamma"]
    assert await found(tags={"is_null_": False}) == ["alpha", "be_ta"]
    either = {"operator": "or_", "all_": ["b"], "is_null_": True}
    assert await found(tags=either) == ["be_ta", "gamma"]
    by_both: Any = {"name": {"any_": ["gamma"]}, "tags": {"all_": ["b"]}}
    assert await found(**by_both) == []
    assert await found("or_", **by_both) == ["be_ta", "gamma"]
    assert await api.post("/variables/count", {"variables": {"tags": {"all_": ["t"]}}}) == 2


async def test_lists_are_sorted_and_paged(api: Api) -> None:
    for name in ("b", "a", "c"):
        await make(api, name)
    await api.patch("/variables/name/a", {"value": 2})
    assert await names(api, sort="NAME_DESC") == ["c", "b", "a"]
    assert await names(api, sort="CREATED_DESC") == ["c", "a", "b"]
    assert await names(api, sort="UPDATED_DESC") == ["a", "c", "b"]
    assert await names(api, limit=1, offset=1) == ["b"]
    assert await names(api, limit=0) == []
    assert (await api.call("POST", "/variables/filter", {"limit": 201})).status_code == 422


async def test_the_parameters_of_a_run_can_refer_to_a_variable(api: Api) -> None:
    await make(api, "place", {"city": "Bern"})
    flow = await api.make_flow()
    deployment = await api.post("/deployments/", {"name": "d", "flow_id": flow})
    reference = {"__prefect_kind": "workspace_variable", "variable_name": "place"}
    path = f"/deployments/{deployment['id']}/create_flow_run"
    run = await api.post(path, {"parameters": {"where": reference}})
    assert run["parameters"] == {"where": {"city": "Bern"}}
