"""Lists and counts of flows, and what pages about flows show beside them."""

from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select

from penstock.contract.enums import FlowSort
from penstock.store.filter_scopes import Scope, flow_conditions
from penstock.store.flows import flow_shape
from penstock.store.tables import deployment, flow, flow_run
from penstock.store.transaction import Transaction

_KEYS: dict[FlowSort, list[Any]] = {
    FlowSort.CREATED_DESC: [flow.c.created.desc(), flow.c.id.desc()],
    FlowSort.UPDATED_DESC: [flow.c.updated.desc(), flow.c.id.desc()],
    FlowSort.NAME_ASC: [flow.c.name.asc()],
    FlowSort.NAME_DESC: [flow.c.name.desc()],
}


def page_flows(
    tx: Transaction, scope: Scope, sort: FlowSort, limit: int, offset: int
) -> list[dict[str, Any]]:
    """One page of the flows in that scope."""
    if limit == 0:
        return []
    query = select(flow).where(*flow_conditions(scope)).order_by(*_KEYS[sort])
    return [flow_shape(row) for row in tx.rows(query.limit(limit).offset(offset))]


def select_flow_ids(tx: Transaction, scope: Scope, limit: int) -> list[UUID]:
    """Ids of the first flows in that scope, by name."""
    query = select(flow.c.id).where(*flow_conditions(scope)).order_by(flow.c.name)
    return [row.id for row in tx.rows(query.limit(limit))]


def count_flows(tx: Transaction, scope: Scope) -> int:
    """How many flows are in that scope."""
    query = select(func.count().label("flows")).select_from(flow).where(*flow_conditions(scope))
    return int(tx.value(query))


def count_deployments_of_flows(tx: Transaction, ids: list[UUID]) -> dict[UUID, int]:
    """How many deployments each of these flows has."""
    of = deployment.c.flow_id
    query = select(of, func.count().label("deployments")).where(of.in_(ids)).group_by(of)
    found = {row.flow_id: row.deployments for row in tx.rows(query)}
    return {id: found.get(id, 0) for id in ids}


def select_next_runs(tx: Transaction, ids: list[UUID]) -> dict[UUID, dict[str, Any] | None]:
    """The next scheduled run of each of these flows; None where there is none."""
    run = flow_run.c
    of_flow = and_(run.flow_id.in_(ids), run.state_type == "SCHEDULED")
    place = func.row_number().over(
        partition_by=run.flow_id, order_by=[run.next_scheduled_start_time.nulls_last(), run.id]
    )
    columns = [
        run.id,
        run.flow_id,
        run.name,
        run.state_name,
        run.state_type,
        run.next_scheduled_start_time,
    ]
    ranked = select(*columns, place.label("place")).where(of_flow).subquery()
    query = select(*[ranked.c[c.name] for c in columns]).where(ranked.c.place == 1)
    found = {row.flow_id: row._asdict() for row in tx.rows(query)}
    return {id: found.get(id) for id in ids}
