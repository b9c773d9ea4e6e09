"""Events that tell what happened to deployments."""

from datetime import datetime
from uuid import UUID

from penstock.core.ids import new_id
from penstock.store.deployments import select_deployment_row
from penstock.store.outbox import tell
from penstock.store.transaction import Transaction


def tell_deployment(tx: Transaction, id: UUID, what: str, now: datetime) -> None:
    """Tell `prefect.deployment.created`, `.updated` or `.deleted`."""
    row = select_deployment_row(tx, id)
    if row is None:
        return
    resource = {
        "prefect.resource.id": f"prefect.deployment.{id}",
        "prefect.resource.name": row.name,
    }
    related = [
        {
            "prefect.resource.id": f"prefect.flow.{row.flow_id}",
            "prefect.resource.role": "flow",
        }
    ]
    if row.work_pool_name is not None:
        related.append(
            {
                "prefect.resource.id": f"prefect.work-queue.{row.work_queue_id}",
                "prefect.resource.role": "work-queue",
                "prefect.resource.name": row.work_queue_name,
            }
        )
    event = {
        "id": new_id(now),
        "occurred": now,
        "event": f"prefect.deployment.{what}",
        "resource": resource,
        "related": related,
        "payload": {},
        "follows": None,
    }
    tell(tx, "event", event)
