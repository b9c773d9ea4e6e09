"""What the server tells about itself: health, readiness, versions; and CSRF tokens."""

import secrets
from datetime import UTC, datetime, timedelta
from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response, read_query
from penstock.contract.rest.server import CsrfToken, ReadyMessage
from penstock.contract.rest.wire import ShortText
from penstock.core.errors import Unavailable
from penstock.core.ids import new_id
from penstock.store.csrf_tokens import upsert_csrf_token
from penstock.store.health import select_one

#: the contract's protocol version, and the release of the contract this server answers to
API_VERSION = "0.8.4"
CONTRACT_VERSION = "3.8.8"
#: how long a client may use its token
CSRF_TOKEN_LIFE = timedelta(hours=1)


class CsrfTokenQuery(BaseModel):
    """Query of `GET /csrf-token`."""

    client: ShortText


async def read_health() -> Response:
    """True while the process answers."""
    return json_response(True)


async def read_ready(request: Request) -> Response:
    """200 when the database answers, else 503."""
    try:
        await database(request).read(select_one)
    except Unavailable as e:
        return json_response({"message": e.message}, 503)
    return json_response({"message": "OK"})


async def hello() -> Response:
    """A greeting."""
    return json_response("👋")


async def read_version() -> Response:
    """The protocol's version, unrelated to the product's."""
    return json_response(API_VERSION)


async def read_admin_version() -> Response:
    """The release of the contract: clients compare their own version with it."""
    return json_response(CONTRACT_VERSION)


async def read_csrf_token(request: Request) -> Response:
    """A new token for the client; 422 when the server asks for none."""
    if not request.app.state.csrf_protection:
        # compat: prefect 3.8.8 looks for exactly this text and then stops asking
        message = "CSRF protection is disabled."
        return json_response({"detail": message, "exception_message": message}, 422)
    client, now = read_query(request, CsrfTokenQuery).client, datetime.now(UTC)
    token, expires_at = secrets.token_hex(32), now + CSRF_TOKEN_LIFE
    unit = partial(upsert_csrf_token, client=client, token=token, expires_at=expires_at)
    await database(request).write(unit, one_statement=True)
    answer = {
        "id": new_id(now),
        "created": now,
        "updated": now,
        "token": token,
        "client": client,
        "expiration": expires_at,
    }
    return json_response(answer)


root = Doors(tag="Root")
root.door("GET", "/health", read_health, answers=bool)
root.door("GET", "/ready", read_ready, answers=ReadyMessage)
root.door("GET", "/hello", hello, answers=str)
root.door("GET", "/version", read_version, answers=str)

admin = Doors(prefix="/admin", tag="Admin")
admin.door("GET", "/version", read_admin_version, answers=str)

csrf = Doors(tag="CSRF")
csrf.door(
    "GET",
    "/csrf-token",
    read_csrf_token,
    answers=CsrfToken,
    query=CsrfTokenQuery,
)
