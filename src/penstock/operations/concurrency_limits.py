"""Taking slots of concurrency limits and giving them back, with leases and without."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Any
from uuid import UUID

from penstock.core.concurrency_rules import (
    TAG_PREFIX,
    Limit,
    decide_grant,
    retry_after,
    task_wait_seconds,
    with_slots_back,
)
from penstock.core.decisions import ACCEPT, Decision, abort, wait
from penstock.core.errors import Gone, InvalidInput
from penstock.core.ids import new_id
from penstock.store.concurrency_slots import (
    count_leased_slots,
    delete_lease,
    delete_slots_of_lease,
    insert_lease,
    lock_limits,
    lock_limits_by_name,
    renew_lease,
    select_lease,
    select_leases_of_holder,
    update_limit_counts,
)
from penstock.store.transaction import Transaction

#: who holds a lease: `flow_run`, `task_run` or `deployment`, and which
Holder = tuple[str, UUID]
TASK_RUN = "task_run"


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease by which slots are to be held."""

    duration: timedelta
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of asking for slots."""

    #: the limits asked for that there are, also those that limit nothing now
    limits: list[Limit]
    #: seconds after which to try again; None: the slots are taken
    retry_after: float | None = None
    #: the lease that holds them, where one was asked for
    lease_id: UUID | None = None


# ------------------------------------------------------------------ global limits


def take_slots(
    tx: Transaction,
    names: Sequence[str],
    slots: int,
    now: datetime,
    *,
    rate_limit: bool = False,
    lease: Lease | None = None,
) -> Taken:
    """Take so many slots of every limit of these names, or of none; unknown names limit nothing.

    Raises InvalidInput for more slots than a limit has at all, or a rate limit without decay.
    """
    limits = lock_limits_by_name(tx, names)
    active = [limit for limit in limits if limit.active]
    _check_can_be_granted(active, slots, rate_limit)
    granted, changed = decide_grant(active, slots, now)
    update_limit_counts(tx, changed)
    if not granted:
        return Taken(limits, retry_after(changed, random()))
    if lease is None:
        return Taken(limits)
    lease_id = new_id(now)
    held = {limit.id: slots for limit in active}
    insert_lease(tx, lease_id, held, lease.holder, now + lease.duration, now)
    return Taken(limits, lease_id=lease_id)


def _check_can_be_granted(limits: Sequence[Limit], slots: int, rate_limit: bool) -> None:
    small = next((limit for limit in limits if slots > limit.limit), None)
    if small is not None:
        raise InvalidInput(
            f"The concurrency limit {small.name!r} has {small.limit} slots, fewer than {slots}",
            ("body", "slots"),
        )
    no_rate = [limit.name for limit in limits if not limit.slot_decay_per_second]
    if rate_limit and no_rate:
        raise InvalidInput(
            f"The concurrency limit {no_rate[0]!r} is no rate limit: it has no slot decay",
            ("body", "mode"),
        )


def give_slots_back(
    tx: Transaction,
    names: Sequence[str],
    slots: int,
    now: datetime,
    occupancy_seconds: float | None = None,
) -> list[Limit]:
    """Give back slots that no lease holds; slots of leases stay taken. The limits there are."""
    limits = lock_limits_by_name(tx, names)
    active = [limit for limit in limits if limit.active]
    back = [
        with_slots_back(
            limit, slots, now, occupancy_seconds, leased=count_leased_slots(tx, limit.id)
        )
        for limit in active
    ]
    update_limit_counts(tx, back)
    return limits


def renew(tx: Transaction, lease_id: UUID, duration: timedelta, now: datetime) -> None:
    """Let a lease last so long from now. Gone (410) when it is over.

    One that has run out is over once its slots were taken back: not before, as its holder may have
    been alive while this server was not.
    """
    if not renew_lease(tx, lease_id, now + duration):
        raise Gone(f"The lease {lease_id} is over: it expired, or its slots were given back")


def release_lease(tx: Transaction, lease_id: UUID, now: datetime) -> None:
    """End a lease and give its slots back; nothing happens when it is over already."""
    ended = delete_lease(tx, lease_id)
    if ended is not None:
        return_slots(tx, [ended], now)


def free_lease(tx: Transaction, lease_id: UUID, now: datetime) -> None:
    """Give back the slots of a lease that lasts on, so that its holder can go on to renew it."""
    lease = select_lease(tx, lease_id)
    if lease is not None:
        return_slots(tx, [lease], now)


def return_slots(tx: Transaction, leases: Sequence[Any], now: datetime) -> None:
    """Give back the slots of leases (rows with `id` and `created`), in this transaction's name."""
    held = [
        (row.limit_id, row.slots, lease.created)
        for lease in leases
        for row in delete_slots_of_lease(tx, lease.id)
    ]
    limits = {limit.id: limit for limit in lock_limits(tx, [limit_id for limit_id, *_ in held])}
    for limit_id, slots, since in held:
        if limit_id in limits:
            age = max(0.0, (now - since).total_seconds())
            limits[limit_id] = with_slots_back(limits[limit_id], slots, now, age)
    update_limit_counts(tx, list(limits.values()))


# ------------------------------------------------------------------ tags of task runs


def take_tag_slots(
    tx: Transaction, task_run_id: UUID, tags: Collection[str], now: datetime
) -> Decision:
    """Take a slot of every limit of these tags for a task run, or of none.

    ACCEPT: it holds them now, until they are released; asking again takes no more. WAIT: so many
    seconds. ABORT: a tag has no slots at all. Call it last, and within `tx.whole()` where the unit
    may be one of a single statement.
    """
    if not tags:
        return ACCEPT
    limits = lock_limits_by_name(tx, [TAG_PREFIX + tag for tag in tags])
    return take_slots_of_tags(tx, task_run_id, [limit for limit in limits if limit.active], now)


def take_slots_of_tags(
    tx: Transaction, task_run_id: UUID, limits: Sequence[Limit], now: datetime
) -> Decision:
    """As take_tag_slots, of limits that are locked."""
    if not limits:
        return ACCEPT
    closed = next((limit for limit in limits if limit.limit <= 0), None)
    if closed is not None:
        tag = closed.name.removeprefix(TAG_PREFIX)
        return abort(f"The concurrency limit of the tag {tag!r} is 0: no task run would ever start")
    holder = (TASK_RUN, task_run_id)
    held = {row.limit_id for row in select_leases_of_holder(tx, holder)}
    missing = [limit for limit in limits if limit.id not in held]
    if not missing:
        return ACCEPT
    granted, changed = decide_grant(missing, 1, now)
    update_limit_counts(tx, changed)
    if not granted:
        tag = changed[0].name.removeprefix(TAG_PREFIX)
        seconds = task_wait_seconds(changed, random())
        return wait(seconds, f"The concurrency limit of the tag {tag!r} has been reached")
    insert_lease(tx, new_id(now), {limit.id: 1 for limit in changed}, holder, None, now)
    return ACCEPT


def release_tag_slots(tx: Transaction, task_run_id: UUID, now: datetime) -> None:
    """Give back all slots that a task run was given by take_tag_slots; none is fine too."""
    rows = select_leases_of_holder(tx, (TASK_RUN, task_run_id))
    leases = sorted({row.id for row in rows if row.expires_at is None})
    ended = [row for lease_id in leases if (row := delete_lease(tx, lease_id)) is not None]
    if ended:
        return_slots(tx, ended, now)
