"""Writing flows."""

from datetime import datetime
from typing import Any

from penstock.contract.rest.flows import FlowCreate
from penstock.store.flows import insert_flow, select_flow_by_name
from penstock.store.transaction import Stale, Transaction


def create_flow(tx: Transaction, body: FlowCreate, now: datetime) -> tuple[dict[str, Any], bool]:
    """Create the flow, or return the one of this name untouched; and whether it is new."""
    new = insert_flow(tx, body.name, body.tags, body.labels or {}, now)
    flow = select_flow_by_name(tx, body.name)
    if flow is None:  # deleted between the two statements
        raise Stale
    return flow, new
