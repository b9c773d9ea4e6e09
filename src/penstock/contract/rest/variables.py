"""Variables: wire shapes of `/variables`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError, to_json

from penstock.contract.enums import VariableSort
from penstock.contract.rest.filters import VariableFilter
from penstock.contract.rest.wire import (
    MAX_PAGE,
    Json,
    ListBody,
    Offset,
    PageLimit,
    Tags,
    WireAnswer,
    WireModel,
)

MAX_VALUE_CHARACTERS = 5000

VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]*$", max_length=255)]
AnyValue = str | int | bool | float | dict[str, Any] | list[Any] | None


def _bounded(value: Any) -> Any:
    if len(to_json(value).decode()) > MAX_VALUE_CHARACTERS:
        raise PydanticCustomError(
            "value_too_long",
            "A variable's value has at most {limit} characters as compact JSON",
            {"limit": MAX_VALUE_CHARACTERS},
        )
    return value


#: Any JSON value of a bounded length.
Value = Annotated[AnyValue, AfterValidator(_bounded), Json.__metadata__[0]]


class VariableCreate(WireModel):
    """A variable to create."""

    name: VariableName
    value: Value
    tags: Tags = Field(default_factory=list)


class VariableUpdate(WireModel):
    """The changes of a variable; only fields that were sent count."""

    name: VariableName | None = None
    value: Value = None
    tags: Tags | None = None


class Variable(WireAnswer):
    """A variable: a JSON value with a name."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: Annotated[str, Field(max_length=255)]
    value: AnyValue
    tags: list[str] = Field(default_factory=list)


class VariablesCountBody(ListBody):
    """Body of `POST /variables/count`."""

    variables: VariableFilter | None = None


class VariablesFilterBody(VariablesCountBody):
    """Body of `POST /variables/filter`."""

    sort: VariableSort = VariableSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0
