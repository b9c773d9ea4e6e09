"""Logs: `/logs`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, json_response
from penstock.api.streams import streams
from penstock.contract.rest import logs as shapes
from penstock.store.logs import page_logs


async def create_logs(request: Request, body: list[shapes.LogCreate]) -> Response:
    """Store log lines; answered once they are committed."""
    await streams(request).create_logs(body, datetime.now(UTC))
    return json_response(None, 201)


async def read_logs(request: Request, body: shapes.LogsFilterBody | None = None) -> Response:
    """One page of the lines that match."""
    body = body or shapes.LogsFilterBody()
    page = partial(
        page_logs, filter=body.logs, sort=body.sort, limit=body.limit, offset=body.offset
    )
    return json_response(await streams(request).logs.read(page))


router = Doors(prefix="/logs", tag="Logs")
router.door("POST", "/", create_logs, answers=Any, status=201)
router.door("POST", "/filter", read_logs, answers=list[shapes.Log])
