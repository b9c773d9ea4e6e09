"""Flows over HTTP: made once per name, listed, counted, deleted with all that is theirs."""

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio


async def test_a_flow_of_the_same_name_is_the_same_flow(api: Api) -> None:
    first = await api.call("POST", "/flows/", {"name": "hello"})
    again = await api.call("POST", "/flows/", {"name": "hello"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == await api.get(f"/flows/{first.json()['id']}")
