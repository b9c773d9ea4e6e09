"""Headers of our own, and of the contract, that doors read."""

import re
from uuid import UUID

from starlette.requests import Request

from penstock.core.errors import BadRequest

_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
#: the oldest protocol this server speaks
OLDEST = (0, 8, 0)


def attempt_of(request: Request) -> UUID | None:
    """The attempt on whose behalf a write comes (`Penstock-Attempt`); None when it names none."""
    value = request.headers.get("penstock-attempt")
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise BadRequest(f"The header Penstock-Attempt must be a UUID, not {value!r}") from None


def check_api_version(value: str | None) -> None:
    """Raise BadRequest (400) for an `x-prefect-api-version` that is malformed or too old."""
    if not value:
        return
    found = _VERSION.fullmatch(value)
    if found is None:
        raise BadRequest(
            f"The header x-prefect-api-version must be three numbers such as 0.8.4, not {value!r}"
        )
    if tuple(map(int, found.groups())) < OLDEST:
        raise BadRequest(
            f"The client's protocol version {value} is older than 0.8.0; upgrade the client"
        )
