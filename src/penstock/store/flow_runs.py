"""Statements of flow runs on the way in, and rows <-> shape. Lists and counts: `flow_run_lists`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Select,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core import documents
from penstock.store.bulk_rows import insert_rows
from penstock.store.concurrency_slots import LIMIT_COLUMNS
from penstock.store.outbox import XID, Told, tell
from penstock.store.statements import Row, Statement
from penstock.store.states import INSERT_STATE, state_shape
from penstock.store.tables import (
    WORKSPACE,
    concurrency_limit,
    deployment,
    flow,
    flow_run,
    flow_run_tag,
    idempotency_key,
    outbox,
    state,
    work_pool,
    work_queue,
)
from penstock.store.transaction import Stale, Transaction

_NOTHING = timedelta(0)
#: what the outbox calls a new state of a run, and a run made by a schedule (which is no event)
NEW_STATE = "flow-run-state"
NEW_SCHEDULED_RUN = "scheduled-run"
#: many first states of runs made at once
NEW_STATES = "flow-run-states"

# ------------------------------------------------------------------ rows -> shape

#: a flow run with its current state and the names of its queue and pool
SELECT_FLOW_RUNS: Select[Any] = (
    select(
        flow_run,
        state.c.message.label("state_message"),
        state.c.data.label("state_data"),
        state.c.state_details,
        work_queue.c.name.label("work_queue_name"),
        work_pool.c.id.label("work_pool_id"),
        work_pool.c.name.label("work_pool_name"),
    )
    .select_from(flow_run)
    .outerjoin(state, and_(state.c.run_id == flow_run.c.id, state.c.id == flow_run.c.state_id))
    .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
)
_SELECT_FLOW_RUN = Statement(SELECT_FLOW_RUNS.where(flow_run.c.id == bindparam("id")))


def policy_shape(run: Any) -> dict[str, Any]:
    """`empirical_policy` as the wire has it; its two dead fields are always 0."""
    return {
        "max_retries": 0,
        "retry_delay_seconds": 0.0,
        "retries": run.retries,
        "retry_delay": run.retry_delay,
        "pause_keys": orjson.loads(run.pause_keys) if run.pause_keys else [],
        "resuming": run.resuming,
        "retry_type": run.retry_type,
    }


def run_times(run: Any, now: datetime) -> tuple[float, float]:
    """`estimated_run_time` and `estimated_start_time_delta` in seconds, as of now."""
    total: float = run.total_run_time
    if run.state_type == "RUNNING":
        total += max(_NOTHING, now - run.state_timestamp).total_seconds()
    delta = _NOTHING
    if run.expected_start_time is not None:
        if run.start_time is not None:
            delta = run.start_time - run.expected_start_time
        elif run.end_time is None:
            delta = now - run.expected_start_time
    return total, max(_NOTHING, delta).total_seconds()


def flow_run_shape(
    run: Any,
    now: datetime,
    *,
    current_state: dict[str, Any] | None,
    work_queue_name: str | None,
    work_pool_id: UUID | None,
    work_pool_name: str | None,
) -> dict[str, Any]:
    """FlowRunResponse for the columns of a run (a row, or values just written)."""
    estimated_run_time, delta = run_times(run, now)
    fragment = documents.Fragment
    return {
        "id": run.id,
        "created": run.created,
        "updated": run.updated,
        "name": run.name,
        "flow_id": run.flow_id,
        "state_id": run.state_id,
        "deployment_id": run.deployment_id,
        "deployment_version": run.deployment_version,
        "work_queue_id": run.work_queue_id,
        "work_queue_name": work_queue_name,
        "flow_version": run.flow_version,
        "parameters": fragment(run.parameters),
        "idempotency_key": run.idempotency_key,
        "context": fragment(run.context),
        "empirical_policy": policy_shape(run),
        "tags": fragment(run.tags),
        "labels": fragment(run.labels),
        "parent_task_run_id": run.parent_task_run_id,
        "state_type": run.state_type,
        "state_name": run.state_name,
        "run_count": run.run_count,
        "expected_start_time": run.expected_start_time,
        "next_scheduled_start_time": run.next_scheduled_start_time,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "total_run_time": run.total_run_time,
        "estimated_run_time": estimated_run_time,
        "estimated_start_time_delta": delta,
        "auto_scheduled": run.auto_scheduled,
        "infrastructure_document_id": run.infrastructure_document_id,
        "infrastructure_pid": run.infrastructure_pid,
        "created_by": None if run.created_by is None else fragment(run.created_by),
        "work_pool_id": work_pool_id,
        "work_pool_name": work_pool_name,
        "state": current_state,
        "job_variables": fragment(run.job_variables or documents.EMPTY_OBJECT),
    }


def shape_of_row(row: Row, now: datetime) -> dict[str, Any]:
    """FlowRunResponse for a row of SELECT_FLOW_RUNS."""
    current = None
    if row.state_id is not None:
        current = state_shape(
            id=row.state_id,
            type=row.state_type,
            name=row.state_name,
            timestamp=row.state_timestamp,
            message=row.state_message,
            data=row.state_data,
            details=orjson.loads(row.state_details),
            run_id=row.id,
            task_run_id=row.parent_task_run_id,
        )
    return flow_run_shape(
        row,
        now,
        current_state=current,
        work_queue_name=row.work_queue_name,
        work_pool_id=row.work_pool_id,
        work_pool_name=row.work_pool_name,
    )


def select_flow_run(tx: Transaction, id: UUID, now: datetime) -> dict[str, Any] | None:
    """One run as FlowRunResponse; None when there is none with this id."""
    row = tx.row(_SELECT_FLOW_RUN, id=id)
    return None if row is None else shape_of_row(row, now)


# ------------------------------------------------------------------ creating

_FLOW_RUN_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in flow_run.c}
# A run is written only if what it was prepared from still stands: the deployment at its revision,
# or the flow.
_OF_REVISION = and_(
    deployment.c.id == bindparam("deployment_id", type_=deployment.c.id.type),
    deployment.c.revision == bindparam("revision", type_=deployment.c.revision.type),
)
_OF_FLOW = flow.c.id == bindparam("flow_id", type_=flow.c.id.type)
_INSERT_FLOW_RUN_OF_REVISION = Statement(
    insert(flow_run).from_select(
        list(_FLOW_RUN_BINDS),
        select(*_FLOW_RUN_BINDS.values()).select_from(deployment).where(_OF_REVISION),
    )
)
_INSERT_FLOW_RUN_OF_FLOW = Statement(
    insert(flow_run).from_select(
        list(_FLOW_RUN_BINDS),
        select(*_FLOW_RUN_BINDS.values()).select_from(flow).where(_OF_FLOW),
    )
)
_INSERT_TAG = Statement(
    insert(flow_run_tag).values(tag=bindparam("tag"), flow_run_id=bindparam("flow_run_id"))
)
_KEY_VALUES: dict[str, Any] = {
    "workspace_id": literal(WORKSPACE),
    "key": bindparam("key", type_=Text),
    "scope": bindparam("scope", type_=idempotency_key.c.scope.type),
    "flow_run_id": bindparam("flow_run_id", type_=idempotency_key.c.flow_run_id.type),
}
_INSERT_KEY = Statement(sqlite.insert(idempotency_key).values(_KEY_VALUES).on_conflict_do_nothing())
_SELECT_KEY = Statement(
    select(idempotency_key.c.flow_run_id).where(
        idempotency_key.c.workspace_id == WORKSPACE,
        idempotency_key.c.key == bindparam("key"),
        idempotency_key.c.scope == bindparam("scope"),
    )
)


def select_run_id_by_key(tx: Transaction, scope: UUID, key: str) -> UUID | None:
    """The id of the run that holds an idempotency key (the run may be pruned); None if free."""
    found: UUID | None = tx.value(_SELECT_KEY, key=key, scope=scope)
    return found


def insert_flow_run(
    tx: Transaction,
    run: Mapping[str, Any],
    state_row: Mapping[str, Any],
    tags: list[str],
    told: dict[str, Any],
    revision: int | None,
    kind: str = NEW_STATE,
) -> bool:
    """Insert a run with its first state, key, tags and event.

    False when another run holds its idempotency key. Raises Stale, and leaves nothing, when the
    deployment is no longer at `revision` or, without one, the flow is no longer there.
    """
    if tx.is_postgres:
        return _insert_flow_run_postgres(tx, run, state_row, tags, told, revision, kind)
    key = run["idempotency_key"]
    if key is not None and not tx.run(
        _INSERT_KEY, key=key, scope=run["flow_id"], flow_run_id=run["id"]
    ):
        return False
    if revision is None:
        written = tx.run(_INSERT_FLOW_RUN_OF_FLOW, **run)
    else:
        written = tx.run(_INSERT_FLOW_RUN_OF_REVISION, **run, revision=revision)
    if not written:
        raise Stale
    tx.run(INSERT_STATE, **state_row)
    if tags:
        tx.run_many(_INSERT_TAG, [{"tag": t, "flow_run_id": run["id"]} for t in tags])
    tell(tx, kind, told)
    return True


@lru_cache(maxsize=8)
def _postgres_insert(of_revision: bool, keyed: bool, tagged: bool) -> Statement:
    """One statement that inserts everything or, where the guard or the key says no, nothing.

    Differs from SQLite by necessity: there a statement cannot insert into several tables, here a
    round trip is what costs.
    """
    if of_revision:
        guard = select(deployment.c.id).where(_OF_REVISION).cte("guard")
    else:
        guard = select(flow.c.id).where(_OF_FLOW).cte("guard")
    source: Any = guard
    ctes = []
    if keyed:
        source = (
            postgresql.insert(idempotency_key)
            .from_select(list(_KEY_VALUES), select(*_KEY_VALUES.values()).select_from(guard))
            .on_conflict_do_nothing()
            .returning(idempotency_key.c.flow_run_id)
            .cte("new_key")
        )
    run_values = select(*_FLOW_RUN_BINDS.values()).select_from(source)
    run = (
        insert(flow_run)
        .from_select(list(_FLOW_RUN_BINDS), run_values)
        .returning(flow_run.c.id)
        .cte("new_run")
    )
    state_binds = {c.name: bindparam(f"written_{c.name}", type_=c.type) for c in state.c}
    ctes.append(
        insert(state)
        .from_select(list(state_binds), select(*state_binds.values()).select_from(run))
        .returning(state.c.id)
        .cte("new_state")
    )
    if tagged:
        tags = func.unnest(bindparam("tag_list", type_=postgresql.ARRAY(Text))).label("tag")
        ctes.append(
            insert(flow_run_tag)
            .from_select(["tag", "flow_run_id"], select(tags, run.c.id))
            .returning(flow_run_tag.c.flow_run_id)
            .cte("new_tags")
        )
    event = select(XID, bindparam("told_kind", type_=Text), bindparam("told_body", type_=Text))
    ctes.append(
        insert(outbox)
        .from_select(["xid", "kind", "body"], event.select_from(run))
        .returning(outbox.c.seq)
        .cte("new_event")
    )
    runs = select(func.count()).select_from(run).scalar_subquery().label("runs")
    guards = select(func.count()).select_from(guard).scalar_subquery().label("guards")
    return Statement(select(runs, guards).add_cte(*ctes))


def _insert_flow_run_postgres(
    tx: Transaction,
    run: Mapping[str, Any],
    state_row: Mapping[str, Any],
    tags: list[str],
    told: dict[str, Any],
    revision: int | None,
    kind: str,
) -> bool:
    key = run["idempotency_key"]
    statement = _postgres_insert(revision is not None, key is not None, bool(tags))
    row = tx.row(
        statement,
        **run,
        **{f"written_{k}": v for k, v in state_row.items()},
        revision=revision,
        key=key,
        scope=run["flow_id"],
        flow_run_id=run["id"],
        tag_list=tags,
        told_kind=kind,
        told_body=documents.dump(told),
    )
    assert row is not None
    if not row.guards:
        raise Stale
    if not row.runs:
        return False
    tx.effects.append(Told(0, kind, told))
    return True


_SELECT_REVISION = Statement(select(deployment.c.id).where(_OF_REVISION))
_RUN_COLUMNS = [f"{c.name}" for c in flow_run.c]
_STATE_COLUMNS = [f"{c.name}" for c in state.c]


def insert_flow_runs(
    tx: Transaction,
    new: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], list[str], dict[str, Any]]],
    deployment_id: UUID,
    revision: int,
) -> dict[str, UUID]:
    """Insert many runs of a deployment: (run, state row, tags, what is told) of each.

    Those whose idempotency key another run holds (in the database, or earlier among these) are left
    out: the holders' ids by key. Raises Stale when the deployment is no longer at that revision.
    """
    if tx.value(_SELECT_REVISION, deployment_id=deployment_id, revision=revision) is None:
        raise Stale
    keyed = [run for run, *_ in new if run["idempotency_key"] is not None]
    rows = [(WORKSPACE, r["idempotency_key"], r["flow_id"], r["id"]) for r in keyed]
    insert_rows(tx, idempotency_key, rows, tail="ON CONFLICT DO NOTHING")
    holders = _select_holders(tx, [r["idempotency_key"] for r in keyed], new[0][0]["flow_id"])
    if any(r["idempotency_key"] not in holders for r in keyed):
        raise Stale  # a holder was deleted between the two statements: its key is free again
    written = [
        entry
        for entry in new
        if (key := entry[0]["idempotency_key"]) is None or holders[key] == entry[0]["id"]
    ]
    insert_rows(tx, flow_run, [[run[c] for c in _RUN_COLUMNS] for run, *_ in written])
    insert_rows(tx, state, [[row[c] for c in _STATE_COLUMNS] for _, row, *_ in written])
    insert_rows(tx, flow_run_tag, [(t, run["id"]) for run, _, tags, _ in written for t in tags])
    if written:
        tell(tx, NEW_STATES, {"states": [told for *_, told in written]})
    return holders


def _select_holders(tx: Transaction, keys: list[str], scope: UUID) -> dict[str, UUID]:
    if not keys:
        return {}
    query = select(idempotency_key.c.key, idempotency_key.c.flow_run_id).where(
        idempotency_key.c.workspace_id == WORKSPACE,
        idempotency_key.c.key.in_(keys),
        idempotency_key.c.scope == scope,
    )
    return {row.key: row.flow_run_id for row in tx.rows(query)}


# ------------------------------------------------------------------ changing state

#: documents and the like, which no rule reads
_NO_FACTS = frozenset(
    {
        "workspace_id",
        "created",
        "updated",
        "deployment_version",
        "schedule_id",
        "flow_version",
        "parameters",
        "idempotency_key",
        "context",
        "labels",
        "infrastructure_document_id",
        "created_by",
        "job_variables",
        "auto_scheduled",
    }
)
#: what the rules and the event of a state change need, in one row; with the limits of the run's
#: deployment, queue and pool, so that nothing more is read for a run without any
_SELECT_FACTS = Statement(
    select(
        *[c for c in flow_run.c if c.name not in _NO_FACTS],
        state.c.message.label("state_message"),
        state.c.data.label("state_data"),
        state.c.state_details,
        deployment.c.id.label("known_deployment_id"),
        deployment.c.concurrency_options,
        *[concurrency_limit.c[name].label(f"limit_{name}") for name in LIMIT_COLUMNS],
        work_queue.c.name.label("queue_name"),
        work_queue.c.concurrency_limit.label("queue_limit"),
        work_queue.c.work_pool_id,
        work_pool.c.name.label("pool_name"),
        work_pool.c.concurrency_limit.label("pool_limit"),
    )
    .select_from(flow_run)
    .outerjoin(state, and_(state.c.run_id == flow_run.c.id, state.c.id == flow_run.c.state_id))
    .outerjoin(deployment, deployment.c.id == flow_run.c.deployment_id)
    .outerjoin(
        concurrency_limit,
        and_(
            concurrency_limit.c.id == deployment.c.concurrency_limit_id, concurrency_limit.c.active
        ),
    )
    .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .where(flow_run.c.id == bindparam("id"))
)


def select_flow_run_facts(tx: Transaction, id: UUID) -> Row | None:
    """A run's own columns and its current state's, for the rules; None when it is not there."""
    return tx.row(_SELECT_FACTS, id=id)


@lru_cache(maxsize=256)
def _update_state(columns: tuple[str, ...], postgres: bool) -> Statement:
    """Set just those columns (an index is written only when its columns are named)."""
    seen = flow_run.c.state_id.is_not_distinct_from(
        bindparam("seen_state_id", type_=flow_run.c.state_id.type)
    )
    values = {c: bindparam(f"new_{c}", type_=flow_run.c[c].type) for c in columns}
    change = (
        update(flow_run)
        .where(flow_run.c.id == bindparam("run_id", type_=flow_run.c.id.type), seen)
        .values(values)
    )
    if not postgres:
        return Statement(change)
    changed = change.returning(flow_run.c.id).cte("changed")
    state_binds = {c.name: bindparam(f"written_{c.name}", type_=c.type) for c in state.c}
    new_state = (
        insert(state)
        .from_select(list(state_binds), select(*state_binds.values()).select_from(changed))
        .returning(state.c.id)
        .cte("new_state")
    )
    event = select(XID, bindparam("told_kind", type_=Text), bindparam("told_body", type_=Text))
    new_event = (
        insert(outbox)
        .from_select(["xid", "kind", "body"], event.select_from(changed))
        .returning(outbox.c.seq)
        .cte("new_event")
    )
    return Statement(
        select(func.count().label("runs")).select_from(changed).add_cte(new_state, new_event)
    )


def update_flow_run_state(
    tx: Transaction,
    run_id: UUID,
    seen_state_id: UUID | None,
    changes: Mapping[str, Any],
    state_row: Mapping[str, Any],
    told: dict[str, Any],
) -> None:
    """Write a new state if the run is still in the one that was seen; else raise Stale."""
    statement = _update_state(tuple(sorted(changes)), tx.is_postgres)
    params = {f"new_{k}": v for k, v in changes.items()}
    if tx.is_postgres:
        row = tx.row(
            statement,
            run_id=run_id,
            seen_state_id=seen_state_id,
            **params,
            **{f"written_{k}": v for k, v in state_row.items()},
            told_kind=NEW_STATE,
            told_body=documents.dump(told),
        )
        if row is None or not row.runs:
            raise Stale
        tx.effects.append(Told(0, NEW_STATE, told))
        return
    if not tx.run(statement, run_id=run_id, seen_state_id=seen_state_id, **params):
        raise Stale
    tx.run(INSERT_STATE, **state_row)
    tell(tx, NEW_STATE, told)


# ------------------------------------------------------------------ other changes


@lru_cache(maxsize=64)
def _update_columns(columns: tuple[str, ...]) -> Statement:
    values = {c: bindparam(f"new_{c}", type_=flow_run.c[c].type) for c in columns}
    return Statement(
        update(flow_run)
        .where(flow_run.c.id == bindparam("run_id", type_=flow_run.c.id.type))
        .values(values)
    )


_SELECT_LABELS = Statement(select(flow_run.c.labels).where(flow_run.c.id == bindparam("id")))


def select_flow_run_labels(tx: Transaction, id: UUID) -> dict[str, Any] | None:
    """A run's labels; None when there is no such run."""
    text = tx.value(_SELECT_LABELS, id=id)
    return None if text is None else documents.load(text)


def update_flow_run(tx: Transaction, id: UUID, changes: Mapping[str, Any]) -> int:
    """Set columns of a run; 0 when it is not there."""
    params = {f"new_{k}": v for k, v in changes.items()}
    return tx.run(_update_columns(tuple(sorted(changes))), run_id=id, **params)


def replace_tags(tx: Transaction, id: UUID, old: list[str], new: list[str]) -> None:
    """Make the side table of tags say what the run says now."""
    delete_tags(tx, id, [t for t in old if t not in new])
    added = [{"tag": t, "flow_run_id": id} for t in new if t not in old]
    tx.run_many(_INSERT_TAG, added)


def delete_tags(tx: Transaction, id: UUID, tags: list[str]) -> None:
    """Remove tags of a run from the side table."""
    if tags:
        tx.run(
            delete(flow_run_tag).where(
                flow_run_tag.c.tag.in_(tags), flow_run_tag.c.flow_run_id == id
            )
        )


_DELETE_RUN = Statement(
    delete(flow_run)
    .where(flow_run.c.id == bindparam("id"))
    .returning(
        flow_run.c.flow_id, flow_run.c.idempotency_key, flow_run.c.tags, flow_run.c.schedule_id
    )
)
_DELETE_KEY = Statement(
    delete(idempotency_key).where(
        idempotency_key.c.workspace_id == WORKSPACE,
        idempotency_key.c.key == bindparam("key"),
        idempotency_key.c.scope == bindparam("scope"),
    )
)


def delete_flow_run(tx: Transaction, id: UUID) -> bool:
    """Delete a run's row, tags and idempotency key (which is free again); False if not there."""
    row = tx.row(_DELETE_RUN, id=id)
    if row is None:
        return False
    delete_tags(tx, id, documents.load(row.tags))
    if row.idempotency_key is not None:
        tx.run(_DELETE_KEY, key=row.idempotency_key, scope=row.flow_id)
    return True
