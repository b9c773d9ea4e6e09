"""Doors with little overhead: a plain function answers, FastAPI only describes (`describe`).

A door is written `async def read_flow_run(request, id, body)`: its path parameters and its `body`
model are read from the signature for the OpenAPI document, and handed over without FastAPI's
dependency machinery, which costs more than most of our requests do.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from penstock.api.errors import InvalidRequest
from penstock.api.headers import check_api_version
from penstock.store.database import Database

Q = TypeVar("Q", bound=BaseModel)
Endpoint = Callable[..., Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]


def json_response(content: Any, status: int = 200) -> Response:
    """A JSON answer. UUIDs and times are written as the contract wants them."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_SUBCLASS),
        status,
        media_type="application/json",
    )


def empty_response() -> Response:
    """204, nothing to say."""
    return Response(status_code=204)


def database(request: Request) -> Database:
    """The server's database."""
    db: Database = request.app.state.database
    return db


async def read_body(request: Request) -> bytes:
    """The request's body. Nearly always it comes in one piece."""
    parts: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def header(request: Request, name: bytes) -> str | None:
    """The value of a header (its name in lower case); None when it was not sent."""
    for key, value in request.scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


@dataclass(frozen=True, slots=True)
class Door:
    """One operation: where it is, what answers it, and how its answer is described."""

    method: str
    path: str
    endpoint: Endpoint
    tag: str
    answers: Any
    status: int
    options: dict[str, Any]
    #: its requests hold secrets: errors repeat nothing of them
    private: bool = False

    def handler(self) -> Handler:
        """The function that reads what the endpoint wants from a request and calls it."""
        endpoint = self.endpoint
        parameters = inspect.signature(endpoint).parameters
        wants_request = "request" in parameters
        body = parameters.get("body")
        adapter: TypeAdapter[Any] | None = None
        if body is not None:
            adapter = TypeAdapter(body.annotation)
        # compat: the contract leaves these two unchecked
        checked = self.path not in ("/health", "/version")

        async def handle(request: Request) -> Response:
            if checked:
                check_api_version(header(request, b"x-prefect-api-version"))
            arguments = dict(request.scope["path_params"])
            if wants_request:
                arguments["request"] = request
            if adapter is not None:
                # An absent body says as much as an empty one; what is required is then missing.
                raw = await read_body(request) or b"{}"
                try:
                    arguments["body"] = adapter.validate_json(raw)
                except ValidationError as e:
                    raise InvalidRequest(e, raw, private=self.private) from None
            return await endpoint(**arguments)

        return handle


class Doors:
    """The doors of one resource, in a list. `answers` names the model of a successful answer."""

    def __init__(self, *, prefix: str = "", tag: str) -> None:
        self._prefix = prefix
        self._tag = tag
        self.doors: list[Door] = []

    def door(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        *,
        answers: Any = None,
        status: int = 200,
        query: type[BaseModel] | None = None,
        private: bool = False,
        **options: Any,
    ) -> None:
        """Add a door. `query` describes its query parameters for the OpenAPI document.

        What is sent to a `private` one is not repeated in errors.
        """
        if query is not None:
            options["openapi_extra"] = {"parameters": query_parameters(query)}
        path = self._prefix + path
        door = Door(method, path, endpoint, self._tag, answers, status, options, private)
        self.doors.append(door)


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """OpenAPI's description of a model's fields as query parameters."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def read_query(request: Request, model: type[Q]) -> Q:
    """The request's query parameters, validated; InvalidRequest names a bad one."""
    raw: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        raw[name] = value
    try:
        return model.model_validate(raw)
    except ValidationError as e:
        raise InvalidRequest(e, b"", where="query") from None
