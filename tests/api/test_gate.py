"""The gate: every door of the running application, with authentication and without."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message

from penstock.api.rest import all_routers
from penstock.core.errors import Unavailable
from penstock.server.app import Server
from penstock.server.settings import Settings, parse
from penstock.server.upkeep import create_key
from tests.conftest import sqlite_url
from tests.store.test_writes import NOW

pytestmark = pytest.mark.anyio
AUTH = "admin:s3cret"
OPEN = {"/api/health", "/api/ready"}
ID = "00000000-0000-7000-8000-000000000001"
MB = 2**20


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Server]:
    server = Server(Settings(database_url=sqlite_url(folder), services=False, **settings))
    async with server.running():
        yield server


@pytest.fixture
async def guarded(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that asks for authentication."""
    async with running(tmp_path, auth_string=AUTH) as server:
        yield server


@pytest.fixture
async def unguarded(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A server without authentication."""
    async with running(tmp_path) as server:
        yield server


def client(server: Server, host: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(server.app)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)


def doors(server: Server) -> list[tuple[str, str]]:
    """Every (method, path) of the application, its parameters filled in."""
    found = {
        (m, r.path) for r in server.api.routes if isinstance(r, Route) for m in r.methods or ()
    }
    for router in all_routers():
        found |= {(d.method, f"/api{d.path}") for d in router.doors}
    # An included router may hide its routes from the list, but not from the description.
    for path, operations in server.api.openapi()["paths"].items():
        found |= {(method.upper(), path) for method in operations}
    return sorted({(m, filled_in(path)) for m, path in found})


def filled_in(path: str) -> str:
    return re.sub(r"\{[^}]*\}", ID, path)


def websockets(server: Server) -> list[str]:
    return sorted(filled_in(r.path) for r in server.api.routes if isinstance(r, WebSocketRoute))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


class Socket:
    """The client's end of a websocket of the application in this process."""

    def __init__(self, server: Server, path: str, *, subprotocols: tuple[str, ...], **headers: str):
        self.scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "scheme": "ws",
            "headers": [
                (k.replace("_", "-").encode(), v.encode())
                for k, v in ({"host": "127.0.0.1"} | headers).items()
            ],
            "subprotocols": list(subprotocols),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 4200),
            "state": {},
            "extensions": {},
        }
        self._app = server.app
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> "Socket":
        self._task = asyncio.create_task(
            self._app(self.scope, self._in.get, self._out.put)  # type: ignore[arg-type]
        )
        await self._in.put({"type": "websocket.connect"})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, 5)

    async def say(self, text: str) -> None:
        await self._in.put({"type": "websocket.receive", "text": text})

    async def hear(self) -> Message:
        return await asyncio.wait_for(self._out.get(), 5)


# ------------------------------------------------------------------ with authentication


async def test_the_application_has_many_doors_and_its_websockets(guarded: Server) -> None:
    found = doors(guarded)
    assert len(found) > 30
    assert ("GET", "/docs") in found
    assert ("GET", "/api/openapi.json") in found
    assert ("POST", f"/api/deployments/{ID}/create_flow_run") in found
    assert {"/api/events/out", "/api/logs/out"} <= set(websockets(guarded))


async def test_without_credentials_every_door_but_two_is_closed(guarded: Server) -> None:
    async with client(guarded) as http:
        for method, path in doors(guarded):
            answer = await http.request(method, path, json={})
            if path in OPEN:
                assert answer.status_code in (200, 405), (method, path)
                continue
            assert answer.status_code == 401, (method, path, answer.text)
            if method != "HEAD":
                assert answer.json()["exception_message"] == "Unauthorized"
            assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/", "/api/flows", "/api//health", "/api/health/", "/graphql"]
)
async def test_what_does_not_exist_is_not_told_to_strangers(guarded: Server, path: str) -> None:
    async with client(guarded) as http:
        assert (await http.post(path)).status_code == 401
        assert (await http.get(path)).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        basic("admin:wrong"),
        basic("admin"),
        "Bearer",
        "Bearer nothing",
        "Digest admin:s3cret",
        AUTH,
        "Bearer \xe9",
    ],
)
async def test_wrong_credentials_are_refused(guarded: Server, header: str) -> None:
    async with client(guarded) as http:
        answer = await http.get("/api/version", headers=[(b"authorization", header.encode())])
    assert answer.status_code == 401


async def test_the_auth_string_opens_every_door(guarded: Server) -> None:
    async with client(guarded, authorization=basic(AUTH)) as http:
        for method, path in doors(guarded):
            answer = await http.request(method, path, json={})
            assert answer.status_code not in (401, 403), (method, path, answer.text)
            # 501: automations, which are not served yet
            assert answer.status_code < 500 or answer.status_code == 501, (method, path)


async def test_a_key_from_the_database_opens_every_door(guarded: Server) -> None:
    key = await asyncio.to_thread(create_key, guarded.settings.database_url, "ci", NOW)
    async with client(guarded, authorization=f"Bearer {key}") as http:
        for method, path in doors(guarded):
            answer = await http.request(method, path, json={})
            assert answer.status_code not in (401, 403), (method, path, answer.text)
    stored = Path(guarded.settings.database_url.removeprefix("sqlite:///")).parent
    assert all(key.encode() not in f.read_bytes() for f in stored.iterdir() if f.is_file())


async def test_every_websocket_refuses_who_does_not_authenticate(guarded: Server) -> None:
    for path in websockets(guarded):
        async with Socket(guarded, path, subprotocols=()) as socket:
            assert (await socket.hear())["type"] == "websocket.close", path
        for said in ('{"type":"auth"}', '{"type":"auth","token":"wrong"}', "[]", "{", '{"a":1}'):
            async with Socket(guarded, path, subprotocols=("prefect",)) as socket:
                assert (await socket.hear())["type"] == "websocket.accept", path
                await socket.say(said)
                closed = await socket.hear()
                assert (closed["type"], closed["code"]) == ("websocket.close", 1008), (path, said)


async def test_every_websocket_admits_the_auth_string_and_a_key(guarded: Server) -> None:
    key = await asyncio.to_thread(create_key, guarded.settings.database_url, "ci", NOW)
    for path in websockets(guarded):
        for token in (AUTH, key):
            async with Socket(guarded, path, subprotocols=("prefect",)) as socket:
                assert (await socket.hear())["type"] == "websocket.accept"
                await socket.say(f'{{"type":"auth","token":"{token}"}}')
                assert (await socket.hear())["text"] == '{"type":"auth_success"}', path


async def test_a_database_that_is_away_closes_a_websocket_for_now(guarded: Server) -> None:
    async def away(_: str) -> bool:
        raise Unavailable

    guarded.trust.key_is_known = away
    for path in websockets(guarded):
        async with Socket(guarded, path, subprotocols=("prefect",)) as socket:
            await socket.hear()
            await socket.say('{"type":"auth","token":"a key"}')
            assert (await socket.hear())["code"] == 1011, path


# ------------------------------------------------------------------ without authentication


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:4200", "localhost:4200", "LOCALHOST", "[::1]:4200"]
)
async def test_loopback_names_are_answered(unguarded: Server, host: str) -> None:
    async with client(unguarded) as http:
        answer = await http.get("/api/version", headers={"host": host})
    assert answer.status_code == 200
    assert not [h for h in answer.headers if h.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:4200", ""])
async def test_a_foreign_host_is_refused_at_every_door(unguarded: Server, host: str) -> None:
    async with client(unguarded) as http:
        for method, path in doors(unguarded):
            answer = await http.request(method, path, headers={"host": host}, json={})
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:9999"],
)
async def test_a_foreign_origin_is_refused_at_every_door(unguarded: Server, origin: str) -> None:
    headers = {"host": "127.0.0.1:4200", "origin": origin}
    async with client(unguarded) as http:
        for method, path in doors(unguarded):
            answer = await http.request(method, path, headers=headers, json={})
            assert answer.status_code == 403, (method, path)
            assert not [h for h in answer.headers if h.startswith("access-control")]
        preflight = await http.options(
            "/api/flows/", headers=headers | {"access-control-request-method": "POST"}
        )
    assert preflight.status_code == 403
    assert not [h for h in preflight.headers if h.startswith("access-control")]


async def test_the_same_origin_is_served_without_cors(unguarded: Server) -> None:
    headers = {"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:4200"}
    async with client(unguarded) as http:
        answer = await http.post("/api/flows/", headers=headers, json={"name": "a"})
    assert answer.status_code == 201
    assert not [h for h in answer.headers if h.startswith("access-control")]


async def test_a_websocket_of_a_foreign_page_or_host_is_refused(unguarded: Server) -> None:
    for path in websockets(unguarded):
        for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
            async with Socket(unguarded, path, subprotocols=("prefect",), **headers) as socket:
                assert (await socket.hear())["type"] == "websocket.close", (path, headers)


# ------------------------------------------------------------------ bodies


async def chunks(size: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(size // 65536 + 1):
        yield b" " * 65536


async def test_a_body_above_4_mb_is_refused(unguarded: Server) -> None:
    async with client(unguarded) as http:
        declared = await http.post("/api/flows/", content=b" " * (4 * MB + 1))
        streamed = await http.post("/api/flows/", content=chunks(4 * MB))
        fits = await http.post("/api/flows/", content=b'{"name":"a"}' + b" " * (3 * MB))
        lies = await http.post("/api/flows/", content=b"{}", headers={"content-length": "x"})
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert "4 MB" in declared.json()["detail"]
    assert fits.status_code == 201
    assert lies.status_code == 400


async def test_logs_may_have_16_mb(unguarded: Server) -> None:
    async with client(unguarded) as http:
        fits = await http.post("/api/logs/", content=b"[]" + b" " * (15 * MB))
        too_long = await http.post("/api/logs/", content=b" " * (16 * MB + 1))
        streamed = await http.post("/api/logs/", content=chunks(16 * MB))
        other = await http.post("/api/logs_of_another_kind", content=b" " * (5 * MB))
    assert fits.status_code < 300, fits.text
    assert (too_long.status_code, streamed.status_code) == (413, 413)
    assert other.status_code == 413


def test_an_empty_auth_string_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_SERVER_AUTH_STRING", raising=False)
    assert parse(["--auth-string", ""]).auth_string is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        # behind a proxy that changes the Host
        ({"Origin": "https://flows.example", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_a_foreign_page_cannot_use_a_password_that_the_browser_remembers(
    guarded: Server, headers: dict[str, str], status: int
) -> None:
    transport = httpx.ASGITransport(guarded.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api") as client:
        basic = base64.b64encode(AUTH.encode()).decode()
        sent = headers | {"Authorization": f"Basic {basic}", "Content-Type": "text/plain"}
        answer = await client.post("/flows/filter", content="{}", headers=sent)
        assert answer.status_code == status
        by_hand = headers | {"Authorization": f"Bearer {AUTH}"}
        assert (await client.post("/flows/filter", headers=by_hand)).status_code == 200
        link = await client.get("/version", headers=sent)
        assert link.status_code == 200
