"""Writing variables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.variables import VariableCreate, VariableUpdate
from penstock.core.errors import Conflict, NotFound
from penstock.store import variables as store
from penstock.store.transaction import Transaction


def required_variable(tx: Transaction, id_or_name: UUID | str) -> Any:
    """The variable's row. Raises NotFound."""
    row = store.select_variable(tx, id_or_name)
    if row is None:
        raise NotFound(f"There is no variable {str(id_or_name)!r}")
    return row


def create_variable(tx: Transaction, body: VariableCreate, now: datetime) -> dict[str, Any]:
    """Create a variable. Conflict when its name is taken."""
    _check_name(tx, body.name)
    id = store.insert_variable(tx, body.name, body.value, body.tags, now)
    return store.variable_shape(store.select_variable(tx, id))


def update_variable(
    tx: Transaction, id_or_name: UUID | str, body: VariableUpdate, now: datetime
) -> None:
    """Change what was sent. NotFound; Conflict when the new name is taken."""
    row = required_variable(tx, id_or_name)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    for column in ("name", "tags"):
        if column in changes and changes[column] is None:
            raise Conflict(f"A variable cannot be without {column}")
    if changes.get("name", row.name) != row.name:
        _check_name(tx, changes["name"])
    if not store.update_variable(tx, row.id, changes, now):
        raise NotFound(f"There is no variable {str(id_or_name)!r}")


def _check_name(tx: Transaction, name: str) -> None:
    # Two at once are settled by the table's unique key, with a less telling message.
    if store.select_variable(tx, name) is not None:
        raise Conflict(f"There is a variable named {name!r} already")


def delete_variable(tx: Transaction, id_or_name: UUID | str) -> None:
    """Delete a variable. Raises NotFound."""
    if not store.delete_variable(tx, id_or_name):
        raise NotFound(f"There is no variable {str(id_or_name)!r}")
