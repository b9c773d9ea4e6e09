"""Statements of variables."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from penstock.core import documents
from penstock.store.tables import WORKSPACE, variable
from penstock.store.transaction import Transaction


def select_variable_values(tx: Transaction, names: Collection[str]) -> dict[str, Any]:
    """The values of those of the named variables that exist."""
    if not names:
        return {}
    query = select(variable.c.name, variable.c.value).where(
        variable.c.workspace_id == WORKSPACE, variable.c.name.in_(sorted(names))
    )
    return {row.name: documents.load(row.value) for row in tx.rows(query)}
