"""From a path to its door in one look-up.

Starlette would try its routes one after the other, each with a regular expression, inside three
layers of middleware; with two hundred routes that costs more than the request itself.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from starlette.datastructures import State
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from penstock.api import errors
from penstock.api.routes import Door, Doors, Handler

#: converses at a websocket
Endpoint = Callable[[WebSocket], Awaitable[None]]
#: a websocket's path and what converses there
Socket = tuple[str, Endpoint]
_UUID_LENGTH = 36
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


class Application:
    """What requests find as `request.app`: the things this server is made of, in `state`."""

    def __init__(self) -> None:
        self.state = State()


Target = TypeVar("Target")


@dataclass(frozen=True, slots=True)
class _Place(Generic[Target]):
    """Where a door or websocket is: which segments must read how, and which are parameters."""

    literals: tuple[tuple[int, str], ...]
    parameters: tuple[tuple[int, str, bool], ...]
    target: Target

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


class _Map(Generic[Target]):
    """What is found at which path, by method ("" for websockets)."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int, str], list[_Place[Target]]] = {}

    def add(self, method: str, path: str, target: Target) -> None:
        """Put it there. `{name}` in the path is a parameter, `{name:uuid}` one that is an id."""
        segments = path.split("/")
        literals: list[tuple[int, str]] = []
        parameters: list[tuple[int, str, bool]] = []
        for place, segment in enumerate(segments):
            if segment.startswith("{"):
                name, _, kind = segment.strip("{}").partition(":")
                assert kind in ("", "uuid"), f"{path}: parameters are texts or ids"
                parameters.append((place, name, kind == "uuid"))
            else:
                literals.append((place, segment))
        key = (method, len(segments), segments[2])
        place_of_target = _Place(tuple(literals), tuple(parameters), target)
        self._places.setdefault(key, []).append(place_of_target)

    def find(self, method: str, path: str) -> tuple[Target, dict[str, Any]] | None:
        """What is at the path, and the path's parameters."""
        segments = path.split("/")
        if len(segments) > 2:
            for place in self._places.get((method, len(segments), segments[2]), ()):
                found = place.matched(segments)
                if found is not None:
                    return place.target, found
        return None


class _Answering:
    """A door whose handler is made when it is first used."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @cached_property
    def handler(self) -> Handler:
        """What answers."""
        return self._door.handler()


class Dispatcher:
    """ASGI application: doors and websockets by look-up, the description by whoever has it."""

    def __init__(
        self,
        application: Application,
        resources: Iterable[Doors],
        sockets: Iterable[Socket],
        prefix: str,
        description: Callable[[], ASGIApp],
        later: Callable[[str], Iterable[Doors]] = lambda _: (),
    ) -> None:
        """`later` gives further doors by the first part of their paths, when they are needed."""
        self._application = application
        self._description = description
        self._described = (f"{prefix}/openapi.json", "/docs", "/docs/oauth2-redirect")
        self._sockets: _Map[Endpoint] = _Map()
        for path, endpoint in sockets:
            self._sockets.add("", prefix + path, endpoint)
        self._prefix = prefix
        self._later = later
        self._complete: set[str] = set()
        self._doors: _Map[_Answering] = _Map()
        self._add(resources)

    def _add(self, resources: Iterable[Doors]) -> None:
        for resource in resources:
            for door in resource.doors:
                self._doors.add(door.method, self._prefix + door.path, _Answering(door))

    def _find(self, method: str, path: str) -> tuple[_Answering, dict[str, Any]] | None:
        found = self._doors.find(method, path)
        if found is None and path.startswith(self._prefix + "/"):
            part = path[len(self._prefix) + 1 :].partition("/")[0]
            if part not in self._complete and (further := list(self._later(part))):
                self._complete.add(part)
                self._add(further)
                found = self._doors.find(method, path)
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the door that the path names."""
        scope["app"] = self._application
        path = scope["path"]
        if scope["type"] == "websocket":
            await self._converse(path, scope, receive, send)
            return
        found = self._find(scope["method"], path)
        if found is not None:
            door, scope["path_params"] = found
            await _answer(door.handler, scope, receive, send)
        elif path in self._described:
            await self._description()(scope, receive, send)
        else:
            await self._without_door(path, scope)(scope, receive, send)

    async def _converse(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._sockets.find("", path)
        if found is None:
            # before accepting: the upgrade is answered with HTTP 403
            await WebSocket(scope, receive, send).close()
            return
        endpoint, scope["path_params"] = found
        await endpoint(WebSocket(scope, receive, send))

    def _without_door(self, path: str, scope: Scope) -> Response:
        """405 for another method's path, 307 where only the last slash differs, else 404."""
        allowed = [m for m in _METHODS if self._doors.find(m, path) is not None]
        if allowed:
            headers = {"Allow": ", ".join(allowed)}
            return errors.text_response(405, "Method Not Allowed", headers)
        other = path.removesuffix("/") if path.endswith("/") else path + "/"
        if other and self._doors.find(scope["method"], other) is not None:
            return RedirectResponse(Request(scope).url.replace(path=other))
        return errors.text_response(404, "Not Found")


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
