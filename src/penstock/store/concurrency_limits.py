"""Statements of concurrency limits: so far only those that belong to deployments."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from penstock.core.ids import new_id
from penstock.store.statements import Statement
from penstock.store.tables import WORKSPACE, concurrency_limit
from penstock.store.transaction import Transaction

_INSERT = Statement(
    insert(concurrency_limit).values(
        {c.name: bindparam(c.name, type_=c.type) for c in concurrency_limit.c}
    )
)


def _name(deployment_id: UUID) -> str:
    # compat: prefect 3.8.8 shows the limit of a deployment under this name
    return f"deployment:{deployment_id}"


def upsert_deployment_limit(
    tx: Transaction, deployment_id: UUID, limit: int, now: datetime
) -> UUID:
    """Give a deployment a limit of its own; the limit's id."""
    name = _name(deployment_id)
    table = concurrency_limit.c
    found: UUID | None = tx.value(
        select(table.id).where(table.workspace_id == WORKSPACE, table.name == name)
    )
    if found is not None:
        change = update(concurrency_limit).where(table.id == found)
        tx.run(change.values(limit=limit, updated=now))
        return found
    id = new_id(now)
    tx.run(
        _INSERT,
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        updated=now,
        name=name,
        limit=limit,
        active=True,
        active_slots=0,
        denied_slots=0,
        slot_decay_per_second=0.0,
        avg_slot_occupancy_seconds=2.0,
    )
    return id


def delete_deployment_limit(tx: Transaction, deployment_id: UUID) -> None:
    """Take a deployment's own limit away."""
    table = concurrency_limit.c
    tx.run(
        delete(concurrency_limit).where(
            table.workspace_id == WORKSPACE, table.name == _name(deployment_id)
        )
    )


def select_limit_exists(tx: Transaction, id: UUID) -> bool:
    """Whether there is a limit with this id."""
    query = select(concurrency_limit.c.id).where(concurrency_limit.c.id == id)
    return tx.value(query) is not None
