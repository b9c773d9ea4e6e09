"""The clients: what they send again, what their errors say, what they cost."""

import asyncio
import inspect
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock import AsyncClient, Client
from penstock.sdk import wire
from penstock.sdk.client import async_operation, operation
from penstock.sdk.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    Unauthorized,
    Unavailable,
)
from penstock.sdk.settings import Settings, read_settings
from tests.sdk.stub_server import Answer, Seen, StubServer, stub_server

ID = str(uuid.uuid4())


class Script:
    """Answers in order; the last answer is given for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, _request: Seen) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def stub(script: Script) -> Iterator[StubServer]:
    with stub_server(script) as stub:
        yield stub


@pytest.fixture
def client(stub: StubServer) -> Iterator[Client]:
    with Client(stub.url) as client:
        yield client


@pytest.mark.parametrize("status", [408, 429, 502, 503])
def test_a_read_is_repeated_until_the_server_can_answer(
    client: Client, script: Script, stub: StubServer, status: int
) -> None:
    script.answers = [(status, None, {"Retry-After": "0"}), (200, "3.8.8")]
    assert client.read_version() == "3.8.8"
    assert len(stub.seen) == 2


def test_an_answer_that_got_lost_is_asked_for_again(
    client: Client, script: Script, stub: StubServer
) -> None:
    script.answers = [(0, None), (200, "3.8.8")]
    assert client.read_version() == "3.8.8"


def test_repeating_stops_and_says_what_to_do(
    client: Client, script: Script, stub: StubServer
) -> None:
    script.answers = [(503, {"detail": "busy"}, {"Retry-After": "0"})]
    with pytest.raises(Unavailable, match="GET /admin/version: busy"):
        client.read_version()
    assert len(stub.seen) == wire.MAX_RETRIES + 1


def test_a_run_without_a_key_is_not_created_twice_when_the_answer_is_lost(
    client: Client, script: Script, stub: StubServer
) -> None:
    script.answers = [(0, None), (201, {"id": ID})]
    with pytest.raises(Unavailable):
        client.create_flow_run(flow_id=ID)
    assert len(stub.seen) == 1


def test_a_run_with_a_key_is_asked_for_again_when_the_answer_is_lost(
    client: Client, script: Script, stub: StubServer
) -> None:
    script.answers = [(0, None), (200, {"id": ID})]
    assert client.create_flow_run(flow_id=ID, idempotency_key="k") == uuid.UUID(ID)
    assert [seen.body["idempotency_key"] for seen in stub.seen] == ["k", "k"]


def test_a_run_is_created_again_after_a_503_also_without_a_key(
    client: Client, script: Script
) -> None:
    script.answers = [(503, None, {"Retry-After": "0"}), (201, {"id": ID})]
    assert client.create_flow_run(deployment_id=ID) == uuid.UUID(ID)


def test_a_repeated_state_carries_the_same_transition_id(
    client: Client, script: Script, stub: StubServer
) -> None:
    from penstock.sdk import calls

    answer = {"status": "ACCEPT", "details": {}, "state": None}
    script.answers = [(0, None), (201, answer)]
    client.do_json(calls.set_flow_run_state(ID, "running", attempt_id="a"))
    ids = {seen.body["state"]["state_details"]["transition_id"] for seen in stub.seen}
    assert len(stub.seen) == 2
    assert len(ids) == 1
    assert stub.seen[0].headers["Penstock-Attempt"] == "a"
    assert stub.seen[0].body["state"]["type"] == "RUNNING"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, {"detail": "Flow not found"}, NotFound, "Flow not found (check the id or name)"),
        (404, {"exception_message": "gone"}, NotFound, "gone"),
        (409, {"detail": "a: too\nsmall"}, Conflict, "a: too small"),
        (401, {"exception_message": "Unauthorized"}, Unauthorized, "set PENSTOCK_API_KEY"),
        (
            422,
            {"detail": [{"loc": ["body", "tags", 0], "msg": "not a string"}]},
            InvalidInput,
            "tags.0: not a string",
        ),
        (500, "oops", ApiError, "oops"),
    ],
)
def test_errors_say_the_request_the_reason_and_the_remedy_in_one_line(
    client: Client, script: Script, status: int, body: Any, kind: type[ApiError], message: str
) -> None:
    script.answers = [(status, body)]
    with pytest.raises(kind) as caught:
        client.read_flow(ID)
    assert caught.value.status == status
    assert str(caught.value).startswith(f"GET /flows/{ID}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_RETRIES", 0)
    with Client("http://127.0.0.1:1/api") as client, pytest.raises(Unavailable, match="running"):
        client.read_version()


def test_the_async_client_repeats_in_the_same_way(script: Script, stub: StubServer) -> None:
    script.answers = [(0, None), (503, None, {"Retry-After": "0"}), (200, "3.8.8")]

    async def read() -> str:
        async with AsyncClient(stub.url) as client:
            return await client.read_version()

    assert asyncio.run(read()) == "3.8.8"
    assert len(stub.seen) == 3


def test_both_clients_have_the_same_methods_with_the_same_documentation() -> None:
    sync = {name: v for name, v in vars(Client).items() if isinstance(v, operation)}
    awaited = {name: v for name, v in vars(AsyncClient).items() if isinstance(v, async_operation)}
    assert sync.keys() == awaited.keys()
    assert len(sync) > 50
    for name, method in sync.items():
        assert method.make is awaited[name].make, name
        assert inspect.getdoc(method), name


def test_credentials_go_with_every_request(script: Script, stub: StubServer) -> None:
    script.answers = [(200, "3.8.8")]
    for environ, header in (
        ({"PENSTOCK_API_KEY": "secret"}, "Bearer secret"),
        ({"PENSTOCK_API_AUTH_STRING": "a:b", "PENSTOCK_API_KEY": "secret"}, "Basic YTpi"),
    ):
        with Client(stub.url, settings=read_settings(environ)) as client:
            client.read_version()
        assert stub.seen[-1].headers["Authorization"] == header


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    assert read_settings(
        {"PENSTOCK_HOME": str(tmp_path), "PENSTOCK_API_URL": "http://h/api/"}
    ) == Settings(
        home=tmp_path,
        api_url="http://h/api",
        api_key=None,
        api_auth_string=None,
        database_url=f"sqlite:///{tmp_path / 'penstock.db'}",
        logging_level="INFO",
    )


def test_a_client_of_a_plain_address_is_made_without_loading_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ssl

    def refuse(*_args: Any, **_options: Any) -> None:
        raise AssertionError("certificates were loaded")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", refuse)
    Client("http://127.0.0.1:1/api").close()
    started = time.process_time()
    Client("http://127.0.0.1:1/api").close()
    assert time.process_time() - started < 0.005


def test_a_retry_waits_as_long_as_the_server_asks() -> None:
    call: wire.Call[None] = wire.Call("GET", "/x", lambda content: None)
    steps = wire.exchange(call, {})
    next(steps)
    asked = steps.send(wire.Reply(503, b"", "2"))
    assert isinstance(asked, wire.Wait)
    assert 2.0 <= asked.seconds <= 2.4
    next(steps)
    dated = steps.send(wire.Reply(503, b"", "Wed, 21 Oct 2015 07:28:00 GMT"))
    assert isinstance(dated, wire.Wait)
    assert dated.seconds == 0
    next(steps)
    own = steps.send(wire.Reply(503, b"", "soon"))
    assert isinstance(own, wire.Wait)
    assert 0.8 <= own.seconds <= 1.0


def test_creating_a_run_needs_exactly_one_origin(client: Client) -> None:
    with pytest.raises(ValueError, match="flow_id or deployment_id"):
        client.create_flow_run()
    with pytest.raises(ValueError, match="flow_id or deployment_id"):
        client.create_flow_run(flow_id=ID, deployment_id=ID)


def test_waiting_for_work_is_asked_for_by_the_prefer_header(
    client: Client, script: Script, stub: StubServer
) -> None:
    script.answers = [(200, [])]
    assert client.get_scheduled_flow_runs("my pool", limit=3, wait_seconds=30) == []
    assert stub.seen[0].path == "/api/work_pools/my%20pool/get_scheduled_flow_runs"
    assert stub.seen[0].headers["Prefer"] == "wait=30"
    assert stub.seen[0].body == {"limit": 3}
