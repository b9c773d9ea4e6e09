"""Variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Id, given, many, nothing, number, one, quoted
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.variables import Variable

VARIABLE = ("variables", "Variable")


def create_variable(*, name: str, value: Any, tags: Sequence[str] | None = None) -> Call[Variable]:
    """Creates the variable; raises Conflict when the name is taken."""
    body = {"name": name, "value": value, **given(tags=tags)}
    return Call("POST", "/variables/", one(*VARIABLE), body, repeatable=False)


def read_variable(variable_id: Id) -> Call[Variable]:
    """The variable with this id."""
    return Call("GET", f"/variables/{variable_id}", one(*VARIABLE))


def read_variable_by_name(name: str) -> Call[Variable]:
    """The variable of this name."""
    return Call("GET", f"/variables/name/{quoted(name)}", one(*VARIABLE))


def read_variables(**filter_body: Any) -> Call[list[Variable]]:
    """The variables that match `variables`, with `sort`, `limit`, `offset`."""
    return Call("POST", "/variables/filter", many(*VARIABLE), filter_body)


def count_variables(**filter_body: Any) -> Call[int]:
    """How many variables match."""
    return Call("POST", "/variables/count", number, filter_body)


def update_variable(variable_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the variable."""
    return Call("PATCH", f"/variables/{variable_id}", nothing, fields)


def update_variable_by_name(name: str, /, **fields: Any) -> Call[None]:
    """Changes the given fields of the variable of this name."""
    return Call("PATCH", f"/variables/name/{quoted(name)}", nothing, fields)


def delete_variable(variable_id: Id) -> Call[None]:
    """Deletes the variable."""
    return Call("DELETE", f"/variables/{variable_id}", nothing)


def delete_variable_by_name(name: str) -> Call[None]:
    """Deletes the variable of this name."""
    return Call("DELETE", f"/variables/name/{quoted(name)}", nothing)
