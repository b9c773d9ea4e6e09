"""The logs of a flow run as a file: `/flow_runs/{id}/logs/download`."""

import csv
import io
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penstock.api.routes import Doors, database
from penstock.api.streams import streams
from penstock.core.errors import NotFound
from penstock.store.logs import select_next_logs_of_run
from penstock.store.run_names import select_flow_run_name
from penstock.store.segments import SegmentStore

#: lines that are in memory at a time
PAGE = 2_000
COLUMNS = ("timestamp", "level", "flow_run_id", "task_run_id", "message")


async def download_logs(request: Request, id: UUID) -> Response:
    """All lines of a flow run, the oldest first, as CSV. Sent while it is read."""
    name = await database(request).read(partial(select_flow_run_name, id=id))
    if name is None:
        raise NotFound(f"There is no flow run {id}")
    # A name that is not ASCII stands in the second form only, which all browsers prefer.
    disposition = (
        'attachment; filename="flow-run-logs.csv"; '
        f"filename*=UTF-8''{quote(name, safe='')}-logs.csv"
    )
    return StreamingResponse(
        _lines(streams(request).logs, id),
        media_type="text/csv",
        headers={"Content-Disposition": disposition},
    )


async def _lines(logs: SegmentStore, flow_run_id: UUID) -> AsyncIterator[str]:
    yield _csv([COLUMNS])
    after = None
    while True:
        select = partial(select_next_logs_of_run, flow_run_id=flow_run_id, after=after, limit=PAGE)
        rows = await logs.read(select)
        if rows:
            yield _csv([[getattr(row, name) for name in COLUMNS] for row in rows])
        if len(rows) < PAGE:
            return
        after = (rows[-1].timestamp, rows[-1].id)


def _csv(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


router = Doors(prefix="/flow_runs", tag="Flow Runs")
router.door("GET", "/{id:uuid}/logs/download", download_logs, answers=Any)
