"""Making, changing and deleting concurrency limits, global ones and those of tags."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.concurrency_limits import (
    ConcurrencyLimitCreate,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
)
from penstock.core.concurrency_rules import TAG_PREFIX, Limit, limit_at
from penstock.core.decisions import Decision
from penstock.core.errors import NotFound
from penstock.core.ids import new_id
from penstock.operations.concurrency_limits import TASK_RUN, return_slots, take_slots_of_tags
from penstock.store import concurrency_limits as store
from penstock.store.concurrency_slots import (
    count_leased_slots,
    delete_lease,
    delete_slots_of_limit,
    insert_lease,
    lock_limits,
    lock_limits_by_name,
    select_task_runs_of_limits,
)
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

# ------------------------------------------------------------------ global limits


def create_limit(tx: Transaction, body: ConcurrencyLimitV2Create, now: datetime) -> dict[str, Any]:
    """Create a limit: ConcurrencyLimitV2. Conflict (409) when there is one of this name."""
    id = store.insert_limit(tx, body.model_dump(), now)
    row = store.select_limit(tx, str(id))
    assert row is not None
    return store.whole_limit_shape(row, now)


def read_limit(tx: Transaction, id_or_name: str, now: datetime) -> dict[str, Any]:
    """A limit: GlobalConcurrencyLimitResponse. Raises NotFound."""
    return store.limit_shape(_found(tx, id_or_name), now)


def read_limits(tx: Transaction, limit: int, offset: int, now: datetime) -> list[dict[str, Any]]:
    """One page of all limits, by name."""
    return [store.limit_shape(row, now) for row in store.page_limits(tx, limit, offset)]


def update_limit(
    tx: Transaction, id_or_name: str, body: ConcurrencyLimitV2Update, now: datetime
) -> None:
    """Change a limit. Raises NotFound; Conflict (409) when another has the new name.

    Fewer active slots than leases hold: the leases hold none of this limit any more.
    """
    id = _found(tx, id_or_name).id
    locked = lock_limits(tx, [id])
    if not locked:
        raise NotFound(f"There is no concurrency limit {id_or_name!r}")
    current = limit_at(locked[0], now)
    changes: dict[str, Any] = {
        "active_slots": current.active_slots,
        "denied_slots": current.denied_slots,
        "updated": now,
    }
    changes |= body.model_dump(exclude_none=True)
    if body.active_slots is not None and body.active_slots < count_leased_slots(tx, id):
        delete_slots_of_limit(tx, id)
    store.update_limit(tx, id, changes)


def delete_limit(tx: Transaction, id_or_name: str) -> None:
    """Delete a limit. Raises NotFound."""
    store.delete_limit(tx, _found(tx, id_or_name).id)


def _found(tx: Transaction, id_or_name: str) -> Row:
    row = store.select_limit(tx, id_or_name)
    if row is None:
        raise NotFound(f"There is no concurrency limit {id_or_name!r}")
    return row


# ------------------------------------------------------------------ limits of tags


def upsert_tag_limit(
    tx: Transaction, body: ConcurrencyLimitCreate, now: datetime
) -> tuple[dict[str, Any], bool]:
    """Create or overwrite the limit of a tag: ConcurrencyLimit, and whether it is new."""
    name = TAG_PREFIX + body.tag
    locked = lock_limits_by_name(tx, [name])
    if locked:
        changes = {"limit": body.concurrency_limit, "updated": now}
        store.update_limit(tx, locked[0].id, changes)
    else:
        store.insert_limit(tx, {"name": name, "limit": body.concurrency_limit}, now)
    return read_tag_limit(tx, body.tag), not locked


def read_tag_limit(tx: Transaction, tag: str) -> dict[str, Any]:
    """The limit of a tag: ConcurrencyLimit. Raises NotFound."""
    return _tag_shapes(tx, [_tag_row(tx, TAG_PREFIX + tag)])[0]


def read_tag_limit_by_id(tx: Transaction, id: UUID) -> dict[str, Any]:
    """The limit of a tag, by its id. Raises NotFound, also for a limit that is no tag's."""
    return _tag_shapes(tx, [_tag_row(tx, str(id))])[0]


def read_tag_limits(tx: Transaction, limit: int, offset: int) -> list[dict[str, Any]]:
    """One page of the limits of tags, by tag."""
    return _tag_shapes(tx, store.page_tag_limits(tx, limit, offset))


def delete_tag_limit(tx: Transaction, tag: str) -> None:
    """Delete the limit of a tag. Raises NotFound."""
    store.delete_limit(tx, _tag_row(tx, TAG_PREFIX + tag).id)


def delete_tag_limit_by_id(tx: Transaction, id: UUID) -> None:
    """Delete the limit of a tag, by its id. Raises NotFound."""
    store.delete_limit(tx, _tag_row(tx, str(id)).id)


def _tag_row(tx: Transaction, id_or_name: str) -> Row:
    row = store.select_limit(tx, id_or_name)
    if row is None or not row.name.startswith(TAG_PREFIX):
        raise NotFound("There is no such concurrency limit of a tag")
    return row


def _tag_shapes(tx: Transaction, rows: Sequence[Row]) -> list[dict[str, Any]]:
    holders: dict[UUID, list[UUID]] = {row.id: [] for row in rows}
    for held in select_task_runs_of_limits(tx, list(holders)):
        holders[held.limit_id].append(held.holder_id)
    return [store.tag_limit_shape(row, holders[row.id]) for row in rows]


def reset_tag_limit(tx: Transaction, tag: str, task_run_ids: Sequence[UUID], now: datetime) -> None:
    """Have just these task runs hold the slots of a tag. Raises NotFound."""
    locked = lock_limits_by_name(tx, [TAG_PREFIX + tag])
    if not locked:
        raise NotFound(f"There is no concurrency limit of the tag {tag!r}")
    limit, holders = locked[0], list(dict.fromkeys(task_run_ids))
    delete_slots_of_limit(tx, limit.id)
    for holder in holders:
        insert_lease(tx, new_id(now), {limit.id: 1}, (TASK_RUN, holder), None, now)
    store.update_limit(tx, limit.id, {"active_slots": len(holders), "updated": now})


def increment_tag_slots(
    tx: Transaction, tags: Sequence[str], task_run_id: UUID, now: datetime
) -> tuple[Decision, list[Limit]]:
    """Take a slot of the limits of these tags for a task run; the decision, and the limits."""
    limits = lock_limits_by_name(tx, [TAG_PREFIX + tag for tag in tags])
    active = [limit for limit in limits if limit.active]
    return take_slots_of_tags(tx, task_run_id, active, now), limits


def decrement_tag_slots(
    tx: Transaction, tags: Sequence[str], task_run_id: UUID, now: datetime
) -> list[Limit]:
    """Give back what a task run holds of the limits of these tags; the limits."""
    limits = lock_limits_by_name(tx, [TAG_PREFIX + tag for tag in tags])
    held = select_task_runs_of_limits(tx, [limit.id for limit in limits])
    leases = sorted({row.lease_id for row in held if row.holder_id == task_run_id})
    ended = [row for id in leases if (row := delete_lease(tx, id)) is not None]
    if ended:
        return_slots(tx, ended, now)
    return limits
