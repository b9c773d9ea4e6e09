"""Resolving templates and variables in the parameters of a run."""

from typing import Any

from penstock.core import documents
from penstock.core.templates import has_templates, hydrate, variable_names
from penstock.store.transaction import Transaction
from penstock.store.variables import select_variable_values


def hydrated_parameters(tx: Transaction, parameters: dict[str, Any]) -> tuple[Any, str]:
    """The parameters with templates and variables resolved: as a value, and as JSON text.

    Raises HydrationError (400) for an unknown variable or a template that cannot be rendered.
    """
    text = documents.dump(parameters)
    if not has_templates(text):
        return parameters, text
    values = select_variable_values(tx, variable_names(parameters))
    hydrated = hydrate(parameters, values)
    return hydrated, documents.dump(hydrated)
