"""Statements of concurrency limits, and rows -> shape. Who holds slots: `concurrency_slots`."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, insert, select, update

from penstock.core.concurrency_rules import FIRST_OCCUPANCY_SECONDS, TAG_PREFIX, Limit, limit_at
from penstock.core.ids import new_id
from penstock.store.concurrency_slots import delete_slots_of_limit
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, concurrency_limit, deployment
from penstock.store.transaction import Transaction

_limit = concurrency_limit.c
_SELECT_LIMITS: Select[Any] = select(concurrency_limit).where(_limit.workspace_id == WORKSPACE)
_SELECT = Statement(_SELECT_LIMITS.where(_limit.id == bindparam("id", type_=_limit.id.type)))
_SELECT_BY_NAME = Statement(_SELECT_LIMITS.where(_limit.name == bindparam("name")))
_PAGE = Statement(
    _SELECT_LIMITS.order_by(_limit.name).limit(bindparam("limit")).offset(bindparam("offset"))
)
_PAGE_OF_TAGS = Statement(
    # not LIKE, to which SQLite's upper and lower case are the same
    _SELECT_LIMITS.where(func.substr(_limit.name, 1, len(TAG_PREFIX)) == TAG_PREFIX)
    .order_by(_limit.name)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_INSERT = Statement(
    insert(concurrency_limit).values(
        {c.name: bindparam(c.name, type_=c.type) for c in concurrency_limit.c}
    )
)

# ------------------------------------------------------------------ rows -> shape


def limit_of_row(row: Row) -> Limit:
    """The limit that a row is."""
    return Limit(
        row.id,
        row.name,
        row.limit,
        row.active,
        row.active_slots,
        row.denied_slots,
        row.slot_decay_per_second,
        row.avg_slot_occupancy_seconds,
        row.updated,
    )


def limit_shape(row: Row, now: datetime) -> dict[str, Any]:
    """GlobalConcurrencyLimitResponse: its slots as of now."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "active": row.active,
        "name": row.name,
        "limit": row.limit,
        "active_slots": limit_at(limit_of_row(row), now).active_slots,
        "slot_decay_per_second": row.slot_decay_per_second,
    }


def whole_limit_shape(row: Row, now: datetime) -> dict[str, Any]:
    """ConcurrencyLimitV2: as limit_shape, with what the waits are computed from."""
    return limit_shape(row, now) | {
        "denied_slots": limit_at(limit_of_row(row), now).denied_slots,
        "avg_slot_occupancy_seconds": row.avg_slot_occupancy_seconds,
    }


def tag_limit_shape(row: Row, task_run_ids: list[UUID]) -> dict[str, Any]:
    """ConcurrencyLimit: the limit of a tag, with the task runs that hold its slots."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "tag": row.name.removeprefix(TAG_PREFIX),
        "concurrency_limit": row.limit,
        "active_slots": task_run_ids,
    }


# ------------------------------------------------------------------ reading


def select_limit(tx: Transaction, id_or_name: str) -> Row | None:
    """The limit with this id, else the one of this name; None when there is neither."""
    try:
        row = tx.row(_SELECT, id=UUID(id_or_name))
    except ValueError:
        row = None
    found: Any = row or tx.row(_SELECT_BY_NAME, name=id_or_name)
    return found


def page_limits(tx: Transaction, limit: int, offset: int) -> list[Row]:
    """One page of all limits, by name."""
    return tx.rows(_PAGE, limit=limit, offset=offset)


def page_tag_limits(tx: Transaction, limit: int, offset: int) -> list[Row]:
    """One page of the limits of tags, by name."""
    return tx.rows(_PAGE_OF_TAGS, limit=limit, offset=offset)


def select_limit_exists(tx: Transaction, id: UUID) -> bool:
    """Whether there is a limit with this id."""
    return tx.row(_SELECT, id=id) is not None


# ------------------------------------------------------------------ changes


def insert_limit(tx: Transaction, values: Mapping[str, Any], now: datetime) -> UUID:
    """Insert a limit; its id. Conflict when there is one of this name."""
    id = new_id(now)
    row = {
        "id": id,
        "workspace_id": WORKSPACE,
        "created": now,
        "updated": now,
        "active": True,
        "active_slots": 0,
        "denied_slots": 0,
        "slot_decay_per_second": 0.0,
        "avg_slot_occupancy_seconds": FIRST_OCCUPANCY_SECONDS,
    }
    tx.run(_INSERT, **{**row, **values})
    return id


@lru_cache(maxsize=64)
def _update(columns: tuple[str, ...]) -> Statement:
    values = {c: bindparam(f"new_{c}", type_=_limit[c].type) for c in columns}
    return Statement(
        update(concurrency_limit)
        .where(_limit.id == bindparam("limit_id", type_=_limit.id.type))
        .values(values)
    )


def update_limit(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> None:
    """Set columns of a limit. Conflict when another has the new name."""
    params = {f"new_{k}": v for k, v in changes.items()}
    tx.run(_update(tuple(sorted(changes))), limit_id=id, **params)


def delete_limit(tx: Transaction, id: UUID) -> None:
    """Delete a limit with all slots that are held of it; its deployments have no limit then."""
    delete_slots_of_limit(tx, id)
    tx.run(
        update(deployment)
        .where(deployment.c.concurrency_limit_id == id)
        .values(concurrency_limit_id=None, revision=deployment.c.revision + 1)
    )
    tx.run(delete(concurrency_limit).where(_limit.id == id))


# ------------------------------------------------------------------ deployments' own


def _name(deployment_id: UUID) -> str:
    # compat: prefect 3.8.8 shows the limit of a deployment under this name
    return f"deployment:{deployment_id}"


def upsert_deployment_limit(
    tx: Transaction, deployment_id: UUID, limit: int, now: datetime
) -> UUID:
    """Give a deployment a limit of its own; the limit's id."""
    found = tx.row(_SELECT_BY_NAME, name=_name(deployment_id))
    if found is None:
        return insert_limit(tx, {"name": _name(deployment_id), "limit": limit}, now)
    # `updated` stays: decay is counted from it.
    update_limit(tx, found.id, {"limit": limit})
    id: UUID = found.id
    return id


def delete_deployment_limit(tx: Transaction, deployment_id: UUID) -> None:
    """Take a deployment's own limit away."""
    found = tx.row(_SELECT_BY_NAME, name=_name(deployment_id))
    if found is not None:
        delete_limit(tx, found.id)
