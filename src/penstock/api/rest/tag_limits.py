"""Concurrency limits of tags: `/concurrency_limits`, the first version of the contract."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, json_response
from penstock.contract.enums import SetStateStatus
from penstock.contract.rest import concurrency_limits as shapes
from penstock.core.concurrency_rules import TAG_PREFIX, Limit
from penstock.core.errors import Locked
from penstock.operations import limit_changes


async def create_concurrency_limit(
    request: Request, body: shapes.ConcurrencyLimitCreate
) -> Response:
    """Create the limit of a tag: 201, or 200 when the one there was is overwritten."""
    upsert = partial(limit_changes.upsert_tag_limit, body=body, now=datetime.now(UTC))
    limit, new = await database(request).write(upsert)
    return json_response(limit, 201 if new else 200)


async def read_concurrency_limit(request: Request, id: UUID) -> Response:
    """The limit of a tag, with the task runs that hold its slots."""
    read = partial(limit_changes.read_tag_limit_by_id, id=id)
    return json_response(await database(request).read(read))


async def read_concurrency_limit_by_tag(request: Request, tag: str) -> Response:
    """The limit of a tag, by the tag."""
    read = partial(limit_changes.read_tag_limit, tag=tag)
    return json_response(await database(request).read(read))


async def read_concurrency_limits(
    request: Request, body: shapes.ConcurrencyLimitsFilterBody
) -> Response:
    """A list of the limits of tags."""
    read = partial(limit_changes.read_tag_limits, limit=body.limit, offset=body.offset)
    return json_response(await database(request).read(read))


async def reset_concurrency_limit_by_tag(
    request: Request, tag: str, body: shapes.TagSlotsResetBody
) -> Response:
    """Have just the given task runs, or none, hold the slots of a tag."""
    ids, now = body.slot_override or [], datetime.now(UTC)
    reset = partial(limit_changes.reset_tag_limit, tag=tag, task_run_ids=ids, now=now)
    await database(request).write(reset)
    return json_response(None)


async def delete_concurrency_limit(request: Request, id: UUID) -> Response:
    """Delete the limit of a tag, by its id."""
    await database(request).write(partial(limit_changes.delete_tag_limit_by_id, id=id))
    return json_response(None)


async def delete_concurrency_limit_by_tag(request: Request, tag: str) -> Response:
    """Delete the limit of a tag."""
    await database(request).write(partial(limit_changes.delete_tag_limit, tag=tag))
    return json_response(None)


async def increment_concurrency_limits_v1(request: Request, body: shapes.TagSlotsBody) -> Response:
    """Take a slot of all these tags for a task run, or of none: 423 when one is full."""
    increment = partial(
        limit_changes.increment_tag_slots,
        tags=body.names,
        task_run_id=body.task_run_id,
        now=datetime.now(UTC),
    )
    decision, limits = await database(request).write(increment)
    if decision.status is not SetStateStatus.ACCEPT:
        # compat: prefect 3.8.8 gives up where `Retry-After` is missing: the limit is 0
        seconds = decision.delay_seconds
        raise Locked(decision.reason, retry_after=None if seconds is None else float(seconds))
    # compat: tags here, but the names of their limits when slots are given back
    said = _minimal(limits)
    return json_response([s | {"name": s["name"].removeprefix(TAG_PREFIX)} for s in said])


async def decrement_concurrency_limits_v1(request: Request, body: shapes.TagSlotsBody) -> Response:
    """Give back the slots of these tags that a task run holds."""
    decrement = partial(
        limit_changes.decrement_tag_slots,
        tags=body.names,
        task_run_id=body.task_run_id,
        now=datetime.now(UTC),
    )
    return json_response(_minimal(await database(request).write(decrement)))


def _minimal(limits: Sequence[Limit]) -> list[dict[str, Any]]:
    return [{"id": limit.id, "name": limit.name, "limit": limit.limit} for limit in limits]


Minimal = list[shapes.MinimalConcurrencyLimitResponse]
router = Doors(prefix="/concurrency_limits", tag="Concurrency Limits")
router.door("POST", "/", create_concurrency_limit, answers=shapes.ConcurrencyLimit)
router.door("POST", "/filter", read_concurrency_limits, answers=list[shapes.ConcurrencyLimit])
router.door("POST", "/increment", increment_concurrency_limits_v1, answers=Minimal)
router.door("POST", "/decrement", decrement_concurrency_limits_v1, answers=Minimal)
_ONE, _TAG = "/{id:uuid}", "/tag/{tag}"
router.door("GET", _ONE, read_concurrency_limit, answers=shapes.ConcurrencyLimit)
router.door("GET", _TAG, read_concurrency_limit_by_tag, answers=shapes.ConcurrencyLimit)
router.door("POST", _TAG + "/reset", reset_concurrency_limit_by_tag)
router.door("DELETE", _ONE, delete_concurrency_limit)
router.door("DELETE", _TAG, delete_concurrency_limit_by_tag)
