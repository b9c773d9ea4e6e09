"""Concurrency limits: `/v2/concurrency_limits`. Those of tags: `tag_limits`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import concurrency_limits as shapes
from penstock.contract.rest.deployments import GlobalConcurrencyLimitResponse
from penstock.core.concurrency_rules import Limit
from penstock.core.errors import Locked
from penstock.operations import concurrency_limits, limit_changes


async def create_concurrency_limit_v2(
    request: Request, body: shapes.ConcurrencyLimitV2Create
) -> Response:
    """Create a limit."""
    create = partial(limit_changes.create_limit, body=body, now=datetime.now(UTC))
    return json_response(await database(request).write(create), 201)


async def read_concurrency_limit_v2(request: Request, id_or_name: str) -> Response:
    """One limit."""
    now = datetime.now(UTC)
    read = partial(limit_changes.read_limit, id_or_name=id_or_name, now=now)
    return json_response(await database(request).read(read))


async def read_all_concurrency_limits_v2(
    request: Request, body: shapes.ConcurrencyLimitsV2FilterBody
) -> Response:
    """A list of limits."""
    now = datetime.now(UTC)
    read = partial(limit_changes.read_limits, limit=body.limit, offset=body.offset, now=now)
    return json_response(await database(request).read(read))


async def update_concurrency_limit_v2(
    request: Request, id_or_name: str, body: shapes.ConcurrencyLimitV2Update
) -> Response:
    """Change a limit."""
    now = datetime.now(UTC)
    update = partial(limit_changes.update_limit, id_or_name=id_or_name, body=body, now=now)
    await database(request).write(update)
    return empty_response()


async def delete_concurrency_limit_v2(request: Request, id_or_name: str) -> Response:
    """Delete a limit."""
    await database(request).write(partial(limit_changes.delete_limit, id_or_name=id_or_name))
    return empty_response()


def minimal(limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Limits as MinimalConcurrencyLimitResponse."""
    return [{"id": limit.id, "name": limit.name, "limit": limit.limit} for limit in limits]


async def _take(request: Request, take: Any) -> concurrency_limits.Taken:
    taken: concurrency_limits.Taken = await database(request).write(take)
    if taken.retry_after is not None:
        raise Locked("Locked", retry_after=taken.retry_after)
    return taken


async def bulk_increment_active_slots(
    request: Request, body: shapes.SlotsIncrementBody
) -> Response:
    """Take slots of all named limits, or of none: 423 with `Retry-After` when one is full."""
    take = partial(
        concurrency_limits.take_slots,
        names=body.names,
        slots=body.slots,
        rate_limit=body.mode == "rate_limit",
        now=datetime.now(UTC),
    )
    return json_response(minimal((await _take(request, take)).limits))


async def bulk_increment_active_slots_with_lease(
    request: Request, body: shapes.SlotsIncrementWithLeaseBody
) -> Response:
    """Take slots that are held as long as the lease is renewed."""
    holder = None if body.holder is None else (body.holder.type, body.holder.id)
    lease = concurrency_limits.Lease(timedelta(seconds=body.lease_duration), holder)
    take = partial(
        concurrency_limits.take_slots,
        names=body.names,
        slots=body.slots,
        rate_limit=body.mode == "rate_limit",
        lease=lease,
        now=datetime.now(UTC),
    )
    taken = await _take(request, take)
    return json_response({"lease_id": taken.lease_id, "limits": minimal(taken.limits)})


async def bulk_decrement_active_slots(
    request: Request, body: shapes.SlotsDecrementBody
) -> Response:
    """Give back slots that no lease holds."""
    give_back = partial(
        concurrency_limits.give_slots_back,
        names=body.names,
        slots=body.slots,
        occupancy_seconds=body.occupancy_seconds,
        now=datetime.now(UTC),
    )
    return json_response(minimal(await database(request).write(give_back)))


async def bulk_decrement_active_slots_with_lease(
    request: Request, body: shapes.LeaseReleaseBody
) -> Response:
    """End a lease and give its slots back; fine when it is over already."""
    now = datetime.now(UTC)
    release = partial(concurrency_limits.release_lease, lease_id=body.lease_id, now=now)
    await database(request).write(release)
    return empty_response()


async def renew_concurrency_lease(
    request: Request, lease_id: UUID, body: shapes.LeaseRenewBody
) -> Response:
    """Let a lease last longer: 410 when it is over."""
    duration = timedelta(seconds=body.lease_duration)
    now = datetime.now(UTC)
    renew = partial(concurrency_limits.renew, lease_id=lease_id, duration=duration, now=now)
    await database(request).write(renew, one_statement=True)
    return empty_response()


Minimal = list[shapes.MinimalConcurrencyLimitResponse]
router = Doors(prefix="/v2/concurrency_limits", tag="Concurrency Limits V2")
router.door("POST", "/", create_concurrency_limit_v2, answers=shapes.ConcurrencyLimitV2, status=201)
router.door(
    "POST",
    "/filter",
    read_all_concurrency_limits_v2,
    answers=list[GlobalConcurrencyLimitResponse],
)
router.door("POST", "/increment", bulk_increment_active_slots, answers=Minimal)
router.door(
    "POST",
    "/increment-with-lease",
    bulk_increment_active_slots_with_lease,
    answers=shapes.ConcurrencyLimitWithLeaseResponse,
)
router.door("POST", "/decrement", bulk_decrement_active_slots, answers=Minimal)
router.door("POST", "/decrement-with-lease", bulk_decrement_active_slots_with_lease, status=204)
router.door("POST", "/leases/{lease_id:uuid}/renew", renew_concurrency_lease, status=204)
_ONE = "/{id_or_name}"
router.door("GET", _ONE, read_concurrency_limit_v2, answers=GlobalConcurrencyLimitResponse)
router.door("PATCH", _ONE, update_concurrency_limit_v2, status=204)
router.door("DELETE", _ONE, delete_concurrency_limit_v2, status=204)
