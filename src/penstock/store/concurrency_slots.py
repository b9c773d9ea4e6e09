"""Statements of slots: who holds which, by which lease. Slots are the only rows that all want.

Whoever takes or gives back slots locks their limits first, in the order of ids.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from penstock.core.concurrency_rules import Limit
from penstock.store.statements import Row, Statement
from penstock.store.tables import (
    WORKSPACE,
    concurrency_lease,
    concurrency_limit,
    concurrency_slot,
)
from penstock.store.transaction import Transaction

_limit, _lease, _slot = concurrency_limit.c, concurrency_lease.c, concurrency_slot.c
#: the columns of a Limit, in its order
LIMIT_COLUMNS = tuple(field.name for field in fields(Limit))

# ------------------------------------------------------------------ limits


@lru_cache(maxsize=32)
def _lock_limits(column: str, count: int) -> Statement:
    """SQLite, with its one writer, leaves FOR UPDATE out."""
    wanted = [
        _limit[column] == bindparam(f"wanted_{n}", type_=_limit[column].type) for n in range(count)
    ]
    query = select(*[_limit[name] for name in LIMIT_COLUMNS]).where(
        _limit.workspace_id == WORKSPACE, or_(*wanted)
    )
    return Statement(query.order_by(_limit.id).with_for_update())


def _locked(tx: Transaction, column: str, wanted: Collection[Any]) -> list[Limit]:
    if not wanted:
        return []
    params = {f"wanted_{n}": value for n, value in enumerate(wanted)}
    rows = tx.rows(_lock_limits(column, len(wanted)), **params)
    return [Limit(*row) for row in rows]


def lock_limits(tx: Transaction, ids: Collection[UUID]) -> list[Limit]:
    """These limits, in the order of ids; nobody else changes them until this transaction ends."""
    return _locked(tx, "id", sorted(set(ids)))


def lock_limits_by_name(tx: Transaction, names: Collection[str]) -> list[Limit]:
    """The limits that there are of these names; else as lock_limits."""
    return _locked(tx, "name", sorted(set(names)))


_UPDATE_COUNTS = Statement(
    update(concurrency_limit)
    .where(_limit.id == bindparam("limit_id", type_=_limit.id.type))
    .values(
        active_slots=bindparam("new_active"),
        denied_slots=bindparam("new_denied"),
        avg_slot_occupancy_seconds=bindparam("new_average"),
        updated=bindparam("new_updated", type_=_limit.updated.type),
    )
)


def update_limit_counts(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Write the counts of limits that this transaction has locked."""
    for limit in limits:
        tx.run(
            _UPDATE_COUNTS,
            limit_id=limit.id,
            new_active=limit.active_slots,
            new_denied=limit.denied_slots,
            new_average=limit.avg_slot_occupancy_seconds,
            new_updated=limit.updated,
        )


# ------------------------------------------------------------------ leases

_INSERT_LEASE = Statement(
    insert(concurrency_lease).values(
        {c.name: bindparam(c.name, type_=c.type) for c in concurrency_lease.c}
    )
)
_INSERT_SLOT = Statement(
    insert(concurrency_slot).values(
        {c.name: bindparam(c.name, type_=c.type) for c in concurrency_slot.c}
    )
)


def insert_lease(
    tx: Transaction,
    id: UUID,
    slots: Mapping[UUID, int],
    holder: tuple[str, UUID] | None,
    expires_at: datetime | None,
    now: datetime,
) -> None:
    """Note that a lease holds slots: how many by limit, already counted in the limits."""
    holder_type, holder_id = holder or (None, None)
    tx.run(
        _INSERT_LEASE,
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        expires_at=expires_at,
        holder_type=holder_type,
        holder_id=holder_id,
    )
    for limit_id, count in sorted(slots.items()):
        tx.run(_INSERT_SLOT, limit_id=limit_id, lease_id=id, slots=count)


_ID = _lease.id == bindparam("id", type_=_lease.id.type)
# Also one that has run out: until somebody takes its slots back it holds them.
_RENEW = Statement(
    update(concurrency_lease)
    .where(_ID, _lease.expires_at.is_not(None))
    .values(expires_at=bindparam("until", type_=_lease.expires_at.type))
)
_UNTIL = bindparam("until", type_=_lease.expires_at.type)
_EXTEND = Statement(
    update(concurrency_lease)
    .where(_ID)
    .values(expires_at=case((_lease.expires_at < _UNTIL, _UNTIL), else_=_lease.expires_at))
)
_SELECT = Statement(select(_lease.id, _lease.created).where(_ID))
_DELETE = Statement(delete(concurrency_lease).where(_ID).returning(_lease.id, _lease.created))
_DELETE_EXPIRED = Statement(
    delete(concurrency_lease)
    .where(_ID, _lease.expires_at <= bindparam("now", type_=_lease.expires_at.type))
    .returning(_lease.id, _lease.created)
)
_DELETE_SLOTS = Statement(
    delete(concurrency_slot)
    .where(_slot.lease_id == bindparam("lease_id", type_=_slot.lease_id.type))
    .returning(_slot.limit_id, _slot.slots)
)
_SELECT_EXPIRED = Statement(
    select(_lease.id)
    .where(_lease.expires_at <= bindparam("now", type_=_lease.expires_at.type))
    .order_by(_lease.expires_at)
    .limit(bindparam("limit"))
)
_SELECT_OF_HOLDER = Statement(
    select(_lease.id, _lease.expires_at, _slot.limit_id)
    .outerjoin(concurrency_slot, _slot.lease_id == _lease.id)
    .where(
        _lease.holder_id == bindparam("holder_id", type_=_lease.holder_id.type),
        _lease.holder_type == bindparam("holder_type"),
    )
)


def renew_lease(tx: Transaction, id: UUID, until: datetime) -> bool:
    """Let a lease last until then; False when it is over or was never there."""
    return bool(tx.run(_RENEW, id=id, until=until))


def extend_lease(tx: Transaction, id: UUID, until: datetime) -> bool:
    """Let a lease last at least until then; False when it is not there."""
    return bool(tx.run(_EXTEND, id=id, until=until))


def select_lease(tx: Transaction, id: UUID) -> Row | None:
    """A lease: its id and since when it was; None when it is not there."""
    row: Any = tx.row(_SELECT, id=id)
    return row


def delete_lease(tx: Transaction, id: UUID) -> Row | None:
    """Delete a lease: its id and since when it was; None when it is not there."""
    row: Any = tx.row(_DELETE, id=id)
    return row


def delete_expired_lease(tx: Transaction, id: UUID, now: datetime) -> Row | None:
    """As delete_lease, unless it was renewed meanwhile."""
    row: Any = tx.row(_DELETE_EXPIRED, id=id, now=now)
    return row


def delete_slots_of_lease(tx: Transaction, lease_id: UUID) -> list[Row]:
    """Delete what a lease holds: `limit_id` and `slots` of each limit."""
    return tx.rows(_DELETE_SLOTS, lease_id=lease_id)


def select_expired_leases(tx: Transaction, now: datetime, limit: int) -> list[UUID]:
    """Leases that have run out, the longest over first."""
    return [row.id for row in tx.rows(_SELECT_EXPIRED, now=now, limit=limit)]


def select_leases_of_holder(tx: Transaction, holder: tuple[str, UUID]) -> list[Row]:
    """`id`, `expires_at` and `limit_id` (None: of nothing) of the leases somebody holds."""
    holder_type, holder_id = holder
    return tx.rows(_SELECT_OF_HOLDER, holder_type=holder_type, holder_id=holder_id)


# ------------------------------------------------------------------ slots of a limit

_LEASED = Statement(
    select(func.coalesce(func.sum(_slot.slots), 0).label("slots")).where(
        _slot.limit_id == bindparam("limit_id", type_=_slot.limit_id.type)
    )
)
_HOLDS = Statement(
    select(_slot.slots).where(
        _slot.limit_id == bindparam("limit_id", type_=_slot.limit_id.type),
        _slot.lease_id == bindparam("lease_id", type_=_slot.lease_id.type),
    )
)
_FORGET_SLOTS = Statement(
    delete(concurrency_slot)
    .where(_slot.limit_id == bindparam("limit_id", type_=_slot.limit_id.type))
    .returning(_slot.lease_id)
)


def forget_leases(tx: Transaction, holder_type: str, holder_ids: Collection[UUID]) -> None:
    """End all leases of holders that are no more, and give their slots back."""
    held = select(_lease.id).where(
        _lease.holder_id.in_(holder_ids), _lease.holder_type == holder_type
    )
    leases = [row.id for row in tx.rows(held)] if holder_ids else []
    if not leases:
        return
    tx.run(delete(concurrency_lease).where(_lease.id.in_(leases)))
    gone = delete(concurrency_slot).where(_slot.lease_id.in_(leases))
    slots: dict[UUID, int] = {}
    for row in tx.rows(gone.returning(_slot.limit_id, _slot.slots)):
        slots[row.limit_id] = slots.get(row.limit_id, 0) + row.slots
    limits = lock_limits(tx, list(slots))
    back = [max(0, limit.active_slots - slots[limit.id]) for limit in limits]
    update_limit_counts(
        tx, [replace(limit, active_slots=n) for limit, n in zip(limits, back, strict=True)]
    )


def count_leased_slots(tx: Transaction, limit_id: UUID) -> int:
    """How many slots of a limit belong to leases."""
    return int(tx.value(_LEASED, limit_id=limit_id))


def select_holds_slot(tx: Transaction, limit_id: UUID, lease_id: UUID) -> bool:
    """Whether a lease holds slots of a limit."""
    return tx.value(_HOLDS, limit_id=limit_id, lease_id=lease_id) is not None


def delete_slots_of_limit(tx: Transaction, limit_id: UUID) -> None:
    """Take the slots of a limit away from all leases, and with them the leases that nothing else
    would ever end."""
    leases = {row.lease_id for row in tx.rows(_FORGET_SLOTS, limit_id=limit_id)}
    if leases:
        tx.run(
            delete(concurrency_lease).where(
                _lease.id.in_(leases),
                _lease.expires_at.is_(None),
                ~exists().where(_slot.lease_id == _lease.id),
            )
        )


def select_task_runs_of_limits(tx: Transaction, limit_ids: Collection[UUID]) -> list[Row]:
    """`limit_id`, `lease_id` and `holder_id` of the task runs that hold slots of these limits, the
    longest first."""
    query = (
        select(_slot.limit_id, _slot.lease_id, _lease.holder_id)
        .join(concurrency_lease, _lease.id == _slot.lease_id)
        .where(
            _slot.limit_id.in_(limit_ids),
            _lease.holder_type == "task_run",
            _lease.holder_id.is_not(None),
        )
        .order_by(_lease.created, _lease.id)
    )
    return tx.rows(query) if limit_ids else []
