"""Taking runs away, a bounded number of rows at a time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, literal, or_, select, update

from penstock.core import documents
from penstock.store.concurrency_slots import forget_leases
from penstock.store.flow_run_inputs import delete_flow_run_inputs
from penstock.store.flow_runs import delete_flow_run
from penstock.store.statements import Row
from penstock.store.tables import deployment, flow_run, state, task_delivery, task_run, task_run_tag
from penstock.store.transaction import Transaction

#: rows of one table that one unit of work deletes at most
CHUNK = 500


def delete_flow_run_part(tx: Transaction, id: UUID) -> bool | None:
    """Delete a chunk of what belongs to a run, and at last the run itself.

    True when it is gone, False when there is more to do, None when there is no such run.
    """
    if tx.value(select(flow_run.c.id).where(flow_run.c.id == id)) is None:
        return None
    few = select(state.c.id).where(state.c.run_id == id).limit(CHUNK)
    if tx.run(delete(state).where(state.c.run_id == id, state.c.id.in_(few))) == CHUNK:
        return False
    if delete_flow_run_inputs(tx, id, CHUNK) == CHUNK:
        return False
    tasks = select(task_run.c.id, task_run.c.tags).where(task_run.c.flow_run_id == id).limit(CHUNK)
    rows = tx.rows(tasks)
    _delete_task_runs(tx, rows)
    if len(rows) == CHUNK:
        return False
    gone = delete_flow_run(tx, id)
    # Last: whoever was just taking a slot for the run has done so by now, or finds no run.
    forget_leases(tx, "flow_run", [id])
    return gone


def _delete_task_runs(tx: Transaction, rows: list[Row]) -> None:
    if not rows:
        return
    ids = [row.id for row in rows]
    tags = sorted({tag for row in rows for tag in documents.load(row.tags)})
    if tags:
        side = task_run_tag.c
        tx.run(delete(task_run_tag).where(side.tag.in_(tags), side.task_run_id.in_(ids)))
    tx.run(delete(task_run).where(task_run.c.id.in_(ids)))
    # Last: whoever was just starting one of them has done so by now, or finds no task run.
    forget_leases(tx, "task_run", ids)
    tx.run(delete(task_delivery).where(task_delivery.c.task_run_id.in_(ids)))


def delete_task_run(tx: Transaction, id: UUID) -> bool:
    """Delete a task run and its history; False when there is no such task run."""
    row = tx.row(
        select(task_run.c.id, task_run.c.tags, task_run.c.flow_run_id).where(task_run.c.id == id)
    )
    if row is None:
        return False
    # A task run has a handful of states: they need no chunks.
    of_run = id if row.flow_run_id is None else row.flow_run_id
    tx.run(delete(state).where(state.c.run_id == of_run, state.c.task_run_id == id))
    _delete_task_runs(tx, [row])
    return True


def select_runs_of_flow(tx: Transaction, flow_id: UUID, limit: int) -> list[UUID]:
    """Ids of some runs of a flow."""
    query = select(flow_run.c.id).where(flow_run.c.flow_id == flow_id).limit(limit)
    return [row.id for row in tx.rows(query)]


def select_deployments_of_flow(tx: Transaction, flow_id: UUID, limit: int) -> list[UUID]:
    """Ids of some deployments of a flow."""
    query = select(deployment.c.id).where(deployment.c.flow_id == flow_id).limit(limit)
    return [row.id for row in tx.rows(query)]


# ------------------------------------------------------------------ pruning

_around = task_run.alias("around")


def page_ended_roots(
    tx: Transaction, before: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """`id` and `end_time` of runs that ended before and are within no other run, in that order."""
    run = flow_run.c
    is_within = select(_around.c.id).where(_around.c.id == run.parent_task_run_id).exists()
    query = select(run.id, run.end_time).where(
        run.end_time.is_not(None),
        run.end_time < before,
        or_(run.parent_task_run_id.is_(None), ~is_within),
    )
    if after is not None:
        at, id = after
        query = query.where(run.end_time >= at, or_(run.end_time > at, run.id > id))
    return tx.rows(query.order_by(run.end_time, run.id).limit(limit))


def select_tree_to_prune(tx: Transaction, root: UUID) -> list[UUID]:
    """A run and all runs within it, the innermost first; none while one of them has not ended."""
    run = flow_run.c
    tree = (
        select(run.id, run.end_time, literal(0).label("depth"))
        .where(run.id == root)
        .cte("tree", recursive=True)
    )
    inner, within = flow_run.alias("inner_run"), task_run.alias("within")
    tree = tree.union_all(
        select(inner.c.id, inner.c.end_time, tree.c.depth + 1)
        .select_from(tree)
        .join(within, within.c.flow_run_id == tree.c.id)
        .join(inner, inner.c.parent_task_run_id == within.c.id)
    )
    rows = tx.rows(select(tree.c.id, tree.c.end_time).order_by(tree.c.depth.desc()))
    return [] if any(row.end_time is None for row in rows) else [row.id for row in rows]


def keep_key(tx: Transaction, id: UUID) -> bool | None:
    """Let an ended run's idempotency key outlive it: a replay is told so, and creates nothing.

    False when the run has not ended, None when it is not there.
    """
    run = flow_run.c
    # What a run's row does not name, deleting the run does not free.
    keep = update(flow_run).where(run.id == id, run.end_time.is_not(None))
    if tx.run(keep.values(idempotency_key=None)):
        return True
    return None if tx.value(select(run.id).where(run.id == id)) is None else False
