"""CSRF protection by tokens: off by default, and what it asks of clients when it is on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from penstock.server.app import Server
from penstock.server.settings import Settings, parse
from penstock.services.csrf_tokens import forget_csrf_tokens
from penstock.store.csrf_tokens import upsert_csrf_token

pytestmark = pytest.mark.anyio
AUTH = "admin:s3cret"


def client(server: Server, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(server.app)
    base = "http://127.0.0.1/api"
    return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)


def headers(client: str, token: str) -> dict[str, str]:
    return {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token}


def detail(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["detail"]


@pytest.fixture
async def server(anyio_backend: str, database_url: str) -> AsyncIterator[Server]:
    """A server with the protection on."""
    settings = Settings(database_url=database_url, services=False, csrf_protection=True)
    server = Server(settings)
    async with server.running():
        yield server


async def test_a_change_needs_the_token_of_its_client(server: Server) -> None:
    async with client(server) as http:
        answer = await http.get("/csrf-token", params={"client": "a"})
        given = answer.json()
        assert answer.status_code == 200
        assert set(given) == {"id", "created", "updated", "token", "client", "expiration"}
        assert given["client"] == "a"
        assert len(bytes.fromhex(given["token"])) == 32
        life = datetime.fromisoformat(given["expiration"]) - datetime.now(UTC)
        assert timedelta(minutes=59) < life <= timedelta(hours=1)
        body = {"name": "f"}
        only_token = {"Prefect-Csrf-Token": given["token"]}
        only_client = {"Prefect-Csrf-Client": "a"}
        wrong = (403, "Invalid CSRF token or client identifier.")
        for sent, refused in (
            ({}, (403, "Missing CSRF token.")),
            (only_client, (403, "Missing CSRF token.")),
            (only_token, (403, "Missing client identifier.")),
            (headers("a", "0" * 64), wrong),
            (headers("b", given["token"]), wrong),
        ):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                answer = await http.request(method, "/flows/", json=body, headers=sent)
                assert detail(answer) == refused, (method, sent)
        made = await http.post("/flows/", json=body, headers=headers("a", given["token"]))
        assert made.status_code == 201
        assert (await http.get(f"/flows/{made.json()['id']}")).status_code == 200


async def test_a_new_token_replaces_the_old_one(server: Server) -> None:
    async with client(server) as http:
        old, new = [(await http.get("/csrf-token?client=a")).json()["token"] for _ in range(2)]
        assert old != new
        refused = await http.post("/flows/filter", json={}, headers=headers("a", old))
        assert detail(refused) == (403, "Invalid CSRF token or client identifier.")
        taken = await http.post("/flows/filter", json={}, headers=headers("a", new))
        assert taken.status_code == 200


async def test_an_expired_token_is_refused_and_forgotten(server: Server) -> None:
    assert server.database is not None
    now, second = datetime.now(UTC), timedelta(seconds=1)
    for name, end in (("old", now - second), ("good", now + 60 * second)):
        unit = partial(upsert_csrf_token, client=name, token="t", expires_at=end)
        await server.database.write(unit)
    async with client(server) as http:
        for name, status in (("old", 403), ("good", 200)):
            answer = await http.post("/flows/filter", json={}, headers=headers(name, "t"))
            assert answer.status_code == status
    assert await forget_csrf_tokens(server.database, now) == 1
    assert await forget_csrf_tokens(server.database, now) == 0


async def test_our_own_clients_need_no_token(server: Server) -> None:
    async with client(server, **{"Penstock-Client": "python"}) as http:
        assert (await http.post("/flows/", json={"name": "f"})).status_code == 201


@pytest.mark.parametrize("query", ["", "?client=" + "x" * 501, "?client=a%00b"])
async def test_a_client_must_say_who_it_is(server: Server, query: str) -> None:
    async with client(server) as http:
        assert (await http.get(f"/csrf-token{query}")).status_code == 422


async def test_the_token_is_asked_for_before_the_password(database_url: str) -> None:
    settings = Settings(
        database_url=database_url, services=False, csrf_protection=True, auth_string=AUTH
    )
    server = Server(settings)
    async with server.running(), client(server) as http:
        assert detail(await http.post("/flows/", json={})) == (403, "Missing CSRF token.")
        assert (await http.get("/csrf-token?client=a")).status_code == 401
        token = (await http.get("/csrf-token?client=a", auth=("admin", "s3cret"))).json()["token"]
        sent = headers("a", token)
        assert (await http.post("/flows/filter", json={}, headers=sent)).status_code == 401
        taken = await http.post("/flows/filter", json={}, headers=sent, auth=("admin", "s3cret"))
        assert taken.status_code == 200


async def test_tokens_serve_every_server_of_a_database(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("one server per SQLite file")
    settings = Settings(database_url=database_url, services=False, csrf_protection=True)
    one, two = Server(settings), Server(settings)
    async with one.running(), two.running(), client(one) as http, client(two) as other:
        token = (await http.get("/csrf-token?client=a")).json()["token"]
        answers = await asyncio.gather(
            *(h.post("/flows/filter", json={}, headers=headers("a", token)) for h in (http, other))
        )
        assert [a.status_code for a in answers] == [200, 200]


async def test_without_the_setting_clients_are_told_to_ask_no_more(database_url: str) -> None:
    server = Server(Settings(database_url=database_url, services=False))
    async with server.running(), client(server) as http:
        for query in ("", "?client=a"):
            answer = await http.get(f"/csrf-token{query}")
            assert detail(answer) == (422, "CSRF protection is disabled.")
        assert (await http.post("/flows/filter", json={})).status_code == 200


@pytest.mark.parametrize(
    ("text", "on"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("", False)]
)
def test_the_environment_switches_it_on(
    text: str, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER_CSRF_PROTECTION", text)
    assert parse([]).csrf_protection is on
