"""Writing artifacts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.artifacts import ArtifactCreate, ArtifactUpdate
from penstock.core.errors import NotFound
from penstock.store import artifacts as store
from penstock.store.transaction import Transaction


def required_artifact(tx: Transaction, id: UUID) -> Any:
    """The artifact's row. Raises NotFound."""
    row = store.select_artifact(tx, id)
    if row is None:
        raise NotFound(f"There is no artifact {id}")
    return row


def create_artifact(tx: Transaction, body: ArtifactCreate, now: datetime) -> dict[str, Any]:
    """Create an artifact; older ones of its key stay."""
    id = store.insert_artifact(tx, body, now)
    return store.artifact_shape(required_artifact(tx, id))


def update_artifact(tx: Transaction, id: UUID, body: ArtifactUpdate, now: datetime) -> None:
    """Change what was sent. Raises NotFound."""
    row = required_artifact(tx, id)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    store.update_artifact(tx, row, changes, now)


def delete_artifact(tx: Transaction, id: UUID, now: datetime) -> None:
    """Delete an artifact; the one before it is the newest of its key then. Raises NotFound."""
    store.delete_artifacts(tx, [required_artifact(tx, id)], now)
