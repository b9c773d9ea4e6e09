"""From a path to its door in one look-up.

Starlette tries its routes one after the other, each with a regular expression, inside three layers
of middleware; with two hundred routes that costs more than the request itself. Whatever is not a
`PlainRoute` (documentation, websockets, unknown paths) goes on to the FastAPI application.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from penstock.api import errors
from penstock.api.routes import PlainRoute

Handler = Callable[[Request], Awaitable[Response]]
_UUID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One route: which segments must read how, and which are its parameters."""

    literals: tuple[tuple[int, str], ...]
    parameters: tuple[tuple[int, str, bool], ...]
    handler: Handler

    def matched(self, segments: list[str]) -> dict[str, Any] | None:
        """The path parameters; None when the path is another's."""
        for place, text in self.literals:
            if segments[place] != text:
                return None
        found: dict[str, Any] = {}
        for place, name, is_id in self.parameters:
            text = segments[place]
            if not is_id:
                if not text:
                    return None
                found[name] = text
                continue
            if len(text) != _UUID_LENGTH:
                return None
            try:
                found[name] = UUID(text)
            except ValueError:
                return None
        return found


class Dispatcher:
    """ASGI application: the doors by look-up, the rest by FastAPI."""

    def __init__(self, app: FastAPI, routers: Iterable[APIRouter], prefix: str) -> None:
        self._app = app
        self._patterns: dict[tuple[str, int, str], list[_Pattern]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, PlainRoute):
                    self._add(route, prefix)

    def _add(self, route: PlainRoute, prefix: str) -> None:
        segments = f"{prefix}{route.path}".split("/")
        literals: list[tuple[int, str]] = []
        parameters: list[tuple[int, str, bool]] = []
        for place, segment in enumerate(segments):
            if segment.startswith("{"):
                name, _, kind = segment.strip("{}").partition(":")
                if kind not in ("", "uuid"):
                    return  # FastAPI knows more kinds of parameters
                parameters.append((place, name, kind == "uuid"))
            else:
                literals.append((place, segment))
        pattern = _Pattern(tuple(literals), tuple(parameters), route.get_route_handler())
        for method in route.methods or ():
            key = (method, len(segments), segments[2])
            self._patterns.setdefault(key, []).append(pattern)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the door that the path names."""
        if scope["type"] == "http":
            segments = scope["path"].split("/")
            if len(segments) > 2:
                key = (scope["method"], len(segments), segments[2])
                for pattern in self._patterns.get(key, ()):
                    found = pattern.matched(segments)
                    if found is not None:
                        scope["path_params"] = found
                        scope["app"] = self._app
                        await _answer(pattern.handler, scope, receive, send)
                        return
        await self._app(scope, receive, send)


async def _answer(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    try:
        response = await handler(request)
    except ClientDisconnect:
        return
    except errors.BodyTooLarge:
        raise  # the gate answers
    except Exception as e:  # the table knows what each error means to a client
        response = errors.answer(e)
    await response(scope, receive, send)
