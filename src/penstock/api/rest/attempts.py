"""Attempts: our own extension, apart from the contract's routes."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response
from penstock.contract.rest.penstock import AttemptRenewal
from penstock.operations import attempts


async def renew_attempt(request: Request, attempt_id: UUID) -> Response:
    """Keep an attempt alive; 410 when it is over."""
    renew = partial(attempts.renew_attempt, attempt=attempt_id, now=datetime.now(UTC))
    return json_response(await database(request).write(renew, one_statement=True))


router = Doors(prefix="/penstock/attempts", tag="Penstock")
router.door("POST", "/{attempt_id:uuid}/renew", renew_attempt, answers=AttemptRenewal)
