"""Variables: `/variables`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import variables as shapes
from penstock.operations import variables
from penstock.store import variables as store
from penstock.store.filters import variable_condition
from penstock.store.transaction import Transaction


async def create_variable(request: Request, body: shapes.VariableCreate) -> Response:
    """Create a variable."""
    unit = partial(variables.create_variable, body=body, now=datetime.now(UTC))
    return json_response(await database(request).write(unit), 201)


async def read_variable(request: Request, id: UUID) -> Response:
    """One variable."""
    return await _read(request, id)


async def read_variable_by_name(request: Request, name: str) -> Response:
    """One variable, by its name."""
    return await _read(request, name)


async def _read(request: Request, id_or_name: UUID | str) -> Response:
    def read(tx: Transaction) -> dict[str, Any]:
        return store.variable_shape(variables.required_variable(tx, id_or_name))

    return json_response(await database(request).read(read))


async def read_variables(
    request: Request, body: shapes.VariablesFilterBody | None = None
) -> Response:
    """One page of the variables that match."""
    body = body or shapes.VariablesFilterBody()
    page = partial(
        store.page_variables,
        condition=variable_condition(body.variables),
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
    )
    return json_response(await database(request).read(page))


async def count_variables(
    request: Request, body: shapes.VariablesCountBody | None = None
) -> Response:
    """How many variables match."""
    condition = variable_condition(body.variables if body else None)
    count = partial(store.count_variables, condition=condition)
    return json_response(await database(request).read(count))


async def update_variable(request: Request, id: UUID, body: shapes.VariableUpdate) -> Response:
    """Change what was sent."""
    return await _update(request, id, body)


async def update_variable_by_name(
    request: Request, name: str, body: shapes.VariableUpdate
) -> Response:
    """Change what was sent."""
    return await _update(request, name, body)


async def _update(request: Request, id_or_name: UUID | str, body: Any) -> Response:
    now = datetime.now(UTC)
    unit = partial(variables.update_variable, id_or_name=id_or_name, body=body, now=now)
    await database(request).write(unit)
    return empty_response()


async def delete_variable(request: Request, id: UUID) -> Response:
    """Delete a variable."""
    await database(request).write(partial(variables.delete_variable, id_or_name=id))
    return empty_response()


async def delete_variable_by_name(request: Request, name: str) -> Response:
    """Delete a variable."""
    await database(request).write(partial(variables.delete_variable, id_or_name=name))
    return empty_response()


_ONE, _NAMED = "/{id:uuid}", "/name/{name}"
_Variable = shapes.Variable

router = Doors(prefix="/variables", tag="Variables")
router.door("POST", "/", create_variable, answers=_Variable, status=201)
router.door("POST", "/filter", read_variables, answers=list[_Variable])
router.door("POST", "/count", count_variables, answers=int)
router.door("GET", _ONE, read_variable, answers=_Variable)
router.door("PATCH", _ONE, update_variable, status=204)
router.door("DELETE", _ONE, delete_variable, status=204)
router.door("GET", _NAMED, read_variable_by_name, answers=_Variable)
router.door("PATCH", _NAMED, update_variable_by_name, status=204)
router.door("DELETE", _NAMED, delete_variable_by_name, status=204)
