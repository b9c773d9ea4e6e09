"""Statements of deployments' schedules and of the runs they have made."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core import documents
from penstock.store.statements import Row, Statement
from penstock.store.tables import (
    deployment,
    deployment_schedule,
    flow_run,
    flow_run_tag,
    idempotency_key,
    schedule_time,
    state,
)
from penstock.store.transaction import Transaction

#: runs that one unit of work deletes at most
CHUNK = 200

_INSERT = Statement(
    insert(deployment_schedule).values(
        {c.name: bindparam(c.name, type_=c.type) for c in deployment_schedule.c}
    )
)
_SELECT = Statement(
    select(deployment_schedule)
    .where(deployment_schedule.c.deployment_id == bindparam("deployment_id"))
    .order_by(deployment_schedule.c.created, deployment_schedule.c.id)
)
_SELECT_TO_REPLENISH = Statement(
    select(
        deployment_schedule.c.id,
        deployment_schedule.c.deployment_id,
        deployment_schedule.c.schedule,
        deployment_schedule.c.parameters,
        deployment_schedule.c.slug,
        deployment_schedule.c.updated,
    )
    .join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)
    .where(
        deployment_schedule.c.active,
        ~deployment.c.paused,
        or_(
            deployment_schedule.c.replenish_at.is_(None),
            deployment_schedule.c.replenish_at <= bindparam("now"),
        ),
    )
    .limit(200)
)
_SET_REPLENISH = Statement(
    update(deployment_schedule)
    .where(
        deployment_schedule.c.id == bindparam("schedule_id", type_=deployment_schedule.c.id.type),
        deployment_schedule.c.updated
        == bindparam("seen", type_=deployment_schedule.c.updated.type),
    )
    .values(
        replenish_at=func.coalesce(
            bindparam("at", type_=deployment_schedule.c.replenish_at.type),
            deployment_schedule.c.replenish_at,
        )
    )
)
_TIME = {c.name: bindparam(c.name, type_=c.type) for c in schedule_time.c}
_INSERT_TIME = {
    "sqlite": Statement(sqlite.insert(schedule_time).values(_TIME).on_conflict_do_nothing()),
    "postgresql": Statement(
        postgresql.insert(schedule_time).values(_TIME).on_conflict_do_nothing()
    ),
}


def schedule_shape(row: Row) -> dict[str, Any]:
    """DeploymentSchedule as the wire has it."""
    return {
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "deployment_id": row.deployment_id,
        "schedule": documents.Fragment(row.schedule),
        "active": row.active,
        "max_scheduled_runs": row.max_scheduled_runs,
        "parameters": documents.Fragment(row.parameters),
        "slug": row.slug,
    }


def insert_schedule(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a schedule. Conflict when the deployment has one with this slug."""
    tx.run(_INSERT, **values)


def select_schedules(tx: Transaction, deployment_id: UUID) -> list[Row]:
    """A deployment's schedules, oldest first."""
    return tx.rows(_SELECT, deployment_id=deployment_id)


def select_schedule_shapes(
    tx: Transaction, deployment_ids: Sequence[UUID]
) -> dict[UUID, list[dict[str, Any]]]:
    """The schedules of some deployments, oldest first, by deployment."""
    shapes: dict[UUID, list[dict[str, Any]]] = {id: [] for id in deployment_ids}
    if deployment_ids:
        query = (
            select(deployment_schedule)
            .where(deployment_schedule.c.deployment_id.in_(deployment_ids))
            .order_by(deployment_schedule.c.created, deployment_schedule.c.id)
        )
        for row in tx.rows(query):
            shapes[row.deployment_id].append(schedule_shape(row))
    return shapes


def update_schedule(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> bool:
    """Set columns of a schedule; its runs are made anew. False when it is not there."""
    values = {**changes, "replenish_at": None}
    query = update(deployment_schedule).where(deployment_schedule.c.id == id).values(values)
    return bool(tx.run(query))


def touch_schedules(tx: Transaction, deployment_id: UUID, now: datetime) -> None:
    """Have the runs of all of a deployment's schedules made anew."""
    tx.run(
        update(deployment_schedule)
        .where(deployment_schedule.c.deployment_id == deployment_id)
        .values(replenish_at=None, updated=now)
    )


def delete_schedules(tx: Transaction, deployment_id: UUID, ids: Sequence[UUID] | None) -> int:
    """Delete some of a deployment's schedules, or all (None); how many there were."""
    query = delete(deployment_schedule).where(deployment_schedule.c.deployment_id == deployment_id)
    if ids is not None:
        query = query.where(deployment_schedule.c.id.in_(ids))
    return tx.run(query)


def select_schedules_to_replenish(tx: Transaction, now: datetime) -> list[Row]:
    """Active schedules that need further runs now."""
    return tx.rows(_SELECT_TO_REPLENISH, now=now)


def hold_schedule(tx: Transaction, id: UUID, seen: datetime, at: datetime | None) -> bool:
    """Keep the schedule as it is until this transaction ends; False when it has changed or gone.

    `at`, where given, is noted as the time at which it needs further runs.
    """
    return bool(tx.run(_SET_REPLENISH, schedule_id=id, seen=seen, at=at))


def claim_schedule_time(
    tx: Transaction, schedule_id: UUID, at: datetime, flow_run_id: UUID
) -> bool:
    """Take a time of a schedule for a run; False when a run has it already."""
    insert_time = _INSERT_TIME[tx.dialect.name]
    return bool(tx.run(insert_time, schedule_id=schedule_id, at=at, flow_run_id=flow_run_id))


def delete_scheduled_runs(
    tx: Transaction,
    deployment_id: UUID,
    *,
    auto_scheduled: bool,
    after: datetime | None = None,
    schedule_ids: Sequence[UUID] | None = None,
) -> int:
    """Delete up to a chunk of a deployment's SCHEDULED runs that never ran; how many.

    `auto_scheduled`: only those that schedules made. `after`: only those due after that time.
    Runs that wait for a concurrency slot stay. Call it again until it returns less than CHUNK.
    """
    run = flow_run.c
    chosen = select(run.id, run.flow_id, run.idempotency_key, run.schedule_id, run.tags).where(
        run.deployment_id == deployment_id,
        run.state_type == "SCHEDULED",
        run.state_name != "AwaitingConcurrencySlot",
        run.run_count == 0,
    )
    if auto_scheduled:
        chosen = chosen.where(run.auto_scheduled)
    if after is not None:
        chosen = chosen.where(run.next_scheduled_start_time > after)
    if schedule_ids is not None:
        chosen = chosen.where(run.schedule_id.in_(schedule_ids))
    rows = tx.rows(chosen.limit(CHUNK))
    if not rows:
        return 0
    ids = [r.id for r in rows]
    tx.run(delete(flow_run).where(run.id.in_(ids)))
    tx.run(delete(state).where(state.c.run_id.in_(ids)))
    tags = {t for r in rows for t in documents.load(r.tags)}
    if tags:
        tagged = flow_run_tag.c.tag.in_(sorted(tags)) & flow_run_tag.c.flow_run_id.in_(ids)
        tx.run(delete(flow_run_tag).where(tagged))
    keys = [r.idempotency_key for r in rows if r.idempotency_key is not None]
    if keys:
        held = idempotency_key.c.key.in_(keys) & idempotency_key.c.flow_run_id.in_(ids)
        tx.run(delete(idempotency_key).where(held))
    schedules = {r.schedule_id for r in rows if r.schedule_id is not None}
    if schedules:
        taken = schedule_time.c.schedule_id.in_(sorted(schedules))
        tx.run(delete(schedule_time).where(taken, schedule_time.c.flow_run_id.in_(ids)))
    return len(rows)


def select_has_deployment(tx: Transaction, id: UUID) -> bool:
    """Whether there is such a deployment."""
    return bool(tx.value(select(exists().where(deployment.c.id == id).label("found"))))
