"""Concurrency limits, global ones and those of tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Fields, Id, given, many, nothing, one, quoted
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.concurrency_limits import (
        ConcurrencyLimit,
        ConcurrencyLimitV2,
        ConcurrencyLimitWithLeaseResponse,
        MinimalConcurrencyLimitResponse,
    )
    from penstock.contract.rest.deployments import GlobalConcurrencyLimitResponse

_MODULE = "concurrency_limits"
LIMIT = ("deployments", "GlobalConcurrencyLimitResponse")
TAG_LIMIT = (_MODULE, "ConcurrencyLimit")
MINIMAL = (_MODULE, "MinimalConcurrencyLimitResponse")


def create_concurrency_limit(name: str, *, limit: int, **fields: Any) -> Call[ConcurrencyLimitV2]:
    """Creates a limit; `slot_decay_per_second` makes it a rate limit."""
    body = {"name": name, "limit": limit, **fields}
    answer = one(_MODULE, "ConcurrencyLimitV2")
    return Call("POST", "/v2/concurrency_limits/", answer, body, repeatable=False)


def read_concurrency_limit(id_or_name: str) -> Call[GlobalConcurrencyLimitResponse]:
    """The limit with this id or name."""
    return Call("GET", f"/v2/concurrency_limits/{quoted(id_or_name)}", one(*LIMIT))


def read_concurrency_limits(**page: Any) -> Call[list[GlobalConcurrencyLimitResponse]]:
    """The limits, by name (`limit`, `offset`)."""
    return Call("POST", "/v2/concurrency_limits/filter", many(*LIMIT), page)


def update_concurrency_limit(id_or_name: str, **fields: Any) -> Call[None]:
    """Changes the given fields of the limit."""
    return Call("PATCH", f"/v2/concurrency_limits/{quoted(id_or_name)}", nothing, fields)


def delete_concurrency_limit(id_or_name: str) -> Call[None]:
    """Deletes the limit."""
    return Call("DELETE", f"/v2/concurrency_limits/{quoted(id_or_name)}", nothing)


def increment_slots(
    names: Sequence[str], *, slots: int = 1, mode: str | None = None
) -> Call[list[MinimalConcurrencyLimitResponse]]:
    """Takes slots of all these limits, or of none; 1 slot by default."""
    body = given(names=names, slots=slots, mode=mode)
    path = "/v2/concurrency_limits/increment"
    return Call("POST", path, many(*MINIMAL), body, repeatable=False)


def increment_slots_with_lease(
    names: Sequence[str],
    *,
    slots: int = 1,
    mode: str | None = None,
    lease_duration: float | None = None,
    holder: Fields | None = None,
) -> Call[ConcurrencyLimitWithLeaseResponse]:
    """As increment_slots; the slots are held until the lease ends."""
    body = given(names=names, slots=slots, mode=mode, lease_duration=lease_duration, holder=holder)
    path = "/v2/concurrency_limits/increment-with-lease"
    answer = one(_MODULE, "ConcurrencyLimitWithLeaseResponse")
    return Call("POST", path, answer, body, repeatable=False)


def decrement_slots(
    names: Sequence[str], *, slots: int = 1, occupancy_seconds: float | None = None
) -> Call[list[MinimalConcurrencyLimitResponse]]:
    """Gives back slots that no lease holds."""
    body = given(names=names, slots=slots, occupancy_seconds=occupancy_seconds)
    path = "/v2/concurrency_limits/decrement"
    return Call("POST", path, many(*MINIMAL), body, repeatable=False)


def release_lease(lease_id: Id) -> Call[None]:
    """Ends the lease and gives its slots back; fine when it is over."""
    path = "/v2/concurrency_limits/decrement-with-lease"
    return Call("POST", path, nothing, {"lease_id": lease_id})


def renew_lease(lease_id: Id, *, lease_duration: float | None = None) -> Call[None]:
    """Lets the lease last so many seconds from now."""
    path = f"/v2/concurrency_limits/leases/{lease_id}/renew"
    return Call("POST", path, nothing, given(lease_duration=lease_duration))


def set_tag_limit(tag: str, *, concurrency_limit: int) -> Call[ConcurrencyLimit]:
    """Creates or overwrites the limit of the tag."""
    body = {"tag": tag, "concurrency_limit": concurrency_limit}
    return Call("POST", "/concurrency_limits/", one(*TAG_LIMIT), body)


def read_tag_limit(tag: str) -> Call[ConcurrencyLimit]:
    """The limit of the tag, with the task runs that hold its slots."""
    return Call("GET", f"/concurrency_limits/tag/{quoted(tag)}", one(*TAG_LIMIT))


def read_tag_limit_by_id(limit_id: Id) -> Call[ConcurrencyLimit]:
    """The limit of a tag with this id."""
    return Call("GET", f"/concurrency_limits/{limit_id}", one(*TAG_LIMIT))


def read_tag_limits(**page: Any) -> Call[list[ConcurrencyLimit]]:
    """The limits of tags, by tag (`limit`, `offset`)."""
    return Call("POST", "/concurrency_limits/filter", many(*TAG_LIMIT), page)


def reset_tag_limit(tag: str, *, slot_override: Sequence[Id] | None = None) -> Call[None]:
    """Has just these task runs, or none, hold the slots of the tag."""
    body = given(slot_override=slot_override)
    return Call("POST", f"/concurrency_limits/tag/{quoted(tag)}/reset", nothing, body)


def delete_tag_limit(tag: str) -> Call[None]:
    """Deletes the limit of the tag."""
    return Call("DELETE", f"/concurrency_limits/tag/{quoted(tag)}", nothing)


def delete_tag_limit_by_id(limit_id: Id) -> Call[None]:
    """Deletes the limit of a tag with this id."""
    return Call("DELETE", f"/concurrency_limits/{limit_id}", nothing)


def increment_tag_slots(
    names: Sequence[str], task_run_id: Id
) -> Call[list[MinimalConcurrencyLimitResponse]]:
    """Takes a slot of all these tags for the task run, or of none."""
    body = {"names": names, "task_run_id": task_run_id}
    return Call("POST", "/concurrency_limits/increment", many(*MINIMAL), body)


def decrement_tag_slots(
    names: Sequence[str], task_run_id: Id
) -> Call[list[MinimalConcurrencyLimitResponse]]:
    """Gives back the slots of these tags that the task run holds."""
    body = {"names": names, "task_run_id": task_run_id}
    return Call("POST", "/concurrency_limits/decrement", many(*MINIMAL), body)
