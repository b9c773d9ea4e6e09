"""Flows over HTTP: made once per name, listed, counted, deleted with all that is theirs."""

from uuid import uuid4

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio


async def test_a_flow_of_the_same_name_is_the_same_flow(api: Api) -> None:
    first = await api.call("POST", "/flows/", {"name": "hello"})
    again = await api.call("POST", "/flows/", {"name": "hello"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == await api.get(f"/flows/{first.json()['id']}")


async def test_a_change_of_nothing_still_needs_the_flow(api: Api) -> None:
    assert (await api.call("PATCH", f"/flows/{uuid4()}", {})).status_code == 404
    flow_id = await api.make_flow()
    assert (await api.call("PATCH", f"/flows/{flow_id}", {})).status_code == 204


async def test_the_servers_version_is_not_for_clients_that_are_too_old(api: Api) -> None:
    old = {"x-prefect-api-version": "0.7.9"}
    assert (await api.call("GET", "/admin/version", headers=old)).status_code == 400
    assert (await api.call("GET", "/version", headers=old)).status_code == 200
    assert (await api.call("GET", "/hello", headers={"x-prefect-api-version": ""})).is_success
