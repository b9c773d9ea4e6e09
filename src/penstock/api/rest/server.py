"""What the server tells about itself: health, readiness, versions; and the CSRF answer."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest.server import CsrfToken, ReadyMessage
from penstock.core.errors import Unavailable
from penstock.store.health import select_one

#: the contract's protocol version, and the release of the contract this server answers to
API_VERSION = "0.8.4"
CONTRACT_VERSION = "3.8.8"


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
    """422: there is no CSRF protection by token, the gate's Origin rule serves instead."""
    # compat: prefect 3.8.8 looks for exactly this text and then stops asking
    message = "CSRF protection is disabled."
    return json_response({"detail": message, "exception_message": message}, 422)


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
    openapi_extra={
        "parameters": [
            {"name": "client", "in": "query", "required": True, "schema": {"type": "string"}}
        ]
    },
)
