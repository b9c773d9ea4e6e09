"""Writing flows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.flows import FlowCreate
from penstock.operations.deployments import delete_deployment
from penstock.store.flows import delete_flow_row, insert_flow, select_flow, select_flow_by_name
from penstock.store.run_removal import (
    delete_flow_run_part,
    select_deployments_of_flow,
    select_runs_of_flow,
)
from penstock.store.transaction import Stale, Transaction

#: deployments or runs that one unit of work deletes at most
CHUNK = 50


def create_flow(tx: Transaction, body: FlowCreate, now: datetime) -> tuple[dict[str, Any], bool]:
    """Create the flow, or return the one of this name untouched; and whether it is new."""
    new = insert_flow(tx, body.name, body.tags, body.labels or {}, now)
    flow = select_flow_by_name(tx, body.name)
    if flow is None:  # deleted between the two statements
        raise Stale
    return flow, new


def delete_flow_part(tx: Transaction, id: UUID, now: datetime) -> bool | None:
    """Delete a chunk of what belongs to a flow, and at last the flow itself.

    True when it is gone, False when there is more to do, None when there is no such flow.
    """
    if select_flow(tx, id) is None:
        return None
    deployments = select_deployments_of_flow(tx, id, CHUNK)
    for deployment_id in deployments:
        delete_deployment(tx, deployment_id, now)
    if deployments:
        return False
    runs = select_runs_of_flow(tx, id, CHUNK)
    for run_id in runs:
        if delete_flow_run_part(tx, run_id) is False:
            return False
    if len(runs) == CHUNK:
        return False
    return delete_flow_row(tx, id)
