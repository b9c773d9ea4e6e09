"""The one gate before every route and websocket: who may ask, from where, and how much."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.api.errors import BodyTooLarge

#: the only paths anyone may read without authentication
OPEN_PATHS = frozenset({"/api/health", "/api/ready"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
#: bytes of a body, by the path it is below; the rest may have 4 MB
BODY_LIMITS = {"/api/logs/": 16 * 2**20, "/graphql/": 16 * 2**20}
BODY_LIMIT = 4 * 2**20

_FOREIGN = "A web page from another origin may not use this server"

#: a header of our own clients; a web page cannot make another origin's browser send it, since
#: the browser asks the server first, which does not say yes
CLIENT_HEADER = b"penstock-client"
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

KeyCheck = Callable[[str], Awaitable[bool]]
#: whether a client has that token: (client, token) -> yes or no
CsrfCheck = Callable[[str, str], Awaitable[bool]]


def hash_key(key: str) -> str:
    """What is stored of an API key: its SHA-256 in hexadecimal (keys are long and random)."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(slots=True)
class Trust:
    """Who is let in.

    `auth_string` is the `user:password` of Basic authentication, None when it is off;
    `key_is_known` says whether an API key (its hash) stands in the database.
    """

    auth_string: str | None = None
    key_is_known: KeyCheck | None = None

    @property
    def required(self) -> bool:
        """Whether requests must authenticate."""
        return self.auth_string is not None

    async def admits(self, authorization: str) -> bool:
        """Whether an Authorization header's value lets its sender in."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(value, validate=True)
            except ValueError:
                return False
            return hmac.compare_digest(given, (self.auth_string or "").encode())
        return scheme.lower() == "bearer" and await self.admits_token(value.strip())

    async def admits_token(self, token: str | None) -> bool:
        """Whether a bare token does (the auth string or an API key), as websockets send it."""
        if not self.required:
            return True
        if not token:
            return False
        if hmac.compare_digest(token.encode(), (self.auth_string or "").encode()):
            return True
        return self.key_is_known is not None and await self.key_is_known(hash_key(token))


class Gate:
    """ASGI middleware: authentication, Host and Origin rules, bounded bodies.

    Websockets pass with the Host and Origin rules checked; they authenticate by their first
    message (`penstock.api.websockets`).
    """

    def __init__(self, app: ASGIApp, trust: Trust, csrf_check: CsrfCheck | None = None) -> None:
        self.app = app
        self.trust = trust
        self._csrf_check = csrf_check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = await self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        if scope["type"] == "http":
            limit = next(
                (n for path, n in BODY_LIMITS.items() if f"{scope['path']}/".startswith(path)),
                BODY_LIMIT,
            )
            declared = headers.get(b"content-length", b"0")
            if not declared.isdigit():
                await _refuse(scope, send, 400, "Content-Length is not a number")
                return
            if int(declared) > limit:
                await _refuse(scope, send, 413, _too_large(limit))
                return
            if b"content-length" not in headers:
                receive = _bounded(receive, limit)
        try:
            await self.app(scope, receive, send)
        except BodyTooLarge as e:
            await _refuse(scope, send, 413, str(e))

    async def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if self._csrf_check is not None and scope.get("method") in _CHANGES:
            # compat: before authentication, as the contract's server does
            wrong = await _wrong_token(self._csrf_check, headers)
            if wrong is not None:
                return 403, wrong
        if self.trust.required:
            if scope["type"] == "websocket" or scope["path"] in OPEN_PATHS:
                return None
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            if not await self.trust.admits(authorization):
                return 401, "Unauthorized"
            # A browser adds the password it remembers to whatever a page sends.
            remembered = authorization[:5].lower() == "basic"
            if remembered and scope["method"] not in ("GET", "HEAD") and _is_foreign(headers):
                return 403, _FOREIGN
            return None
        host = _host_of(headers.get(b"host", b"").decode("latin-1"))
        if host not in LOOPBACK:
            return 403, (
                f"Without authentication this server answers only to loopback names, not {host!r}; "
                "start it with --auth-string"
            )
        if _has_foreign_origin(headers):
            return 403, _FOREIGN
        return None


async def _wrong_token(check: CsrfCheck, headers: dict[bytes, bytes]) -> str | None:
    if CLIENT_HEADER in headers:
        return None
    token, client = headers.get(b"prefect-csrf-token"), headers.get(b"prefect-csrf-client")
    if token is None:
        return "Missing CSRF token."
    if client is None:
        return "Missing client identifier."
    if await check(client.decode("latin-1"), token.decode("latin-1")):
        return None
    # compat: prefect 3.8.8 looks for the first three words and then asks for a new token
    return "Invalid CSRF token or client identifier."


def _too_large(limit: int) -> str:
    return f"The request's body is larger than {limit // 2**20} MB; send it in parts"


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _host_of(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _has_foreign_origin(headers: dict[bytes, bytes]) -> bool:
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b"")


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Whether a page of another site sends this, by the browser's own word where it gives it."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    return _has_foreign_origin(headers)


def _bounded(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise BodyTooLarge(_too_large(limit))
        return message

    return bounded


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting makes the server answer the upgrade with HTTP 403.
        await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        return
    body: dict[str, Any] = {"exception_message": why, "detail": why}
    raw = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="penstock"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})
