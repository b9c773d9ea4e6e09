"""What every wire shape is made of: three roots and the types of fields, with their limits.

Limits (the contract names none, our columns and indexes need them): names, tags and keys 500
characters, idempotency keys 1024 characters and 2000 bytes, 500 tags or labels, 10 000 entries in
one filter, 512 KiB of parameters, 1.5 MB of event payload, integers of columns 32 bits.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_json

MAX_NAME_CHARACTERS = 500
MAX_PARAMETERS_BYTES = 512 * 1024
MAX_PAYLOAD_BYTES = 1_500_000
MAX_IDEMPOTENCY_KEY_BYTES = 2000
MAX_PAGE = 200


class WireModel(BaseModel):
    """A shape that clients send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class WireBody(BaseModel):
    """A body whose fields the contract lists without naming it: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class ListBody(WireBody):
    """A body of a list, count or poll: null leaves a field to its default, as its absence does."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: Any) -> Any:
        # compat: prefect 3.8.8 sends `"sort": null, "limit": null, "offset": null`
        if isinstance(body, dict) and None in body.values():
            return {name: value for name, value in body.items() if value is not None}
        return body


class WireAnswer(BaseModel):
    """A shape that the server answers: a client ignores fields it does not know yet."""

    model_config = ConfigDict(extra="ignore")


# -- plain text ----------------------------------------------------------------------------------

NO_NUL = r"^[^\x00]*$"

#: Text that a column can hold: PostgreSQL refuses NUL.
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
#: Text that is indexed, so that its length is bounded.
ShortText = Annotated[str, StringConstraints(pattern=NO_NUL, max_length=MAX_NAME_CHARACTERS)]
#: The name of a flow, deployment, work pool or queue: it becomes part of a path.
Name = Annotated[str, StringConstraints(pattern=r"^[^/%&><\x00]+$", max_length=MAX_NAME_CHARACTERS)]
#: A key of something that must have one.
Key = Annotated[
    str, StringConstraints(pattern=NO_NUL, min_length=1, max_length=MAX_NAME_CHARACTERS)
]


def _without_nul(text: str) -> str:
    return text.replace("\0", "") if "\0" in text else text


#: What a program had to say. NUL is dropped, because refusing it would lose the message.
Message = Annotated[str, AfterValidator(_without_nul)]


def _indexable(key: str) -> str:
    if len(key) > MAX_NAME_CHARACTERS and len(key.encode()) > MAX_IDEMPOTENCY_KEY_BYTES:
        raise PydanticCustomError(
            "key_too_long",
            "An idempotency key has at most {limit} bytes",
            {"limit": MAX_IDEMPOTENCY_KEY_BYTES},
        )
    return key


IdempotencyKey = Annotated[
    str, StringConstraints(pattern=NO_NUL, max_length=1024), AfterValidator(_indexable)
]

Tags = Annotated[list[ShortText], Field(max_length=500)]
LabelValue = (
    StrictBool
    | StrictInt
    | Annotated[StrictFloat, Field(allow_inf_nan=False)]
    | Annotated[str, StringConstraints(pattern=NO_NUL, max_length=1000)]
)
Labels = Annotated[dict[ShortText, LabelValue], Field(max_length=500)]
#: Labels as the server answers them.
LabelAnswer = dict[str, StrictBool | StrictInt | StrictFloat | str]


# -- numbers -------------------------------------------------------------------------------------

Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
NaturalInt32 = Annotated[int, Field(ge=0, le=2**31 - 1)]
PositiveInt32 = Annotated[int, Field(gt=0, le=2**31 - 1)]
Offset = Annotated[int, Field(ge=0, le=2**63 - 1)]
BulkLimit = Annotated[int, Field(ge=1, le=50)]
PageNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _within_page(limit: int) -> int:
    if not 0 <= limit <= MAX_PAGE:
        # compat: the log pager of the prefect 3.8.8 CLI looks for the words "Invalid limit".
        raise PydanticCustomError(
            "invalid_limit",
            "Invalid limit: must be between 0 and {maximum}.",
            {"maximum": MAX_PAGE},
        )
    return limit


#: How many rows a list may hold; 200 when the caller does not say.
PageLimit = Annotated[int, AfterValidator(_within_page)]


# -- times ---------------------------------------------------------------------------------------


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC; one without a time zone is taken to be UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError(
            "datetime_out_of_range", "The time is outside the years 1 to 9999 in UTC"
        ) from None


DateTime = Annotated[datetime, AfterValidator(as_utc)]
#: A duration that travels as a number of seconds.
Seconds = Annotated[
    timedelta,
    PlainSerializer(timedelta.total_seconds, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "format": "time-delta"}),
]


# -- documents -----------------------------------------------------------------------------------


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_is_finite(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(_is_finite(v) for v in value)
    return True


def _compact_size(document: Any) -> int:
    """Bytes of the document as compact JSON; refuses NaN and infinities, which JSON lacks.

    The parser takes `NaN` and reads `1e999` as infinity. Looking for the words in the compact text
    first spares nearly every document a walk in Python.
    """
    text = to_json(document, inf_nan_mode="constants")
    if (b"NaN" in text or b"Infinity" in text) and not _is_finite(document):
        raise PydanticCustomError("finite_number", "NaN and infinite numbers are not JSON")
    return len(text)


def _finite(document: Any) -> Any:
    _compact_size(document)
    return document


def _refuse_above(limit: int, size: int) -> None:
    if size > limit:
        raise PydanticCustomError(
            "document_too_large",
            "The document has {size} bytes as compact JSON, more than {limit}",
            {"size": size, "limit": limit},
        )


def _bounded_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    if parameters:
        _refuse_above(MAX_PARAMETERS_BYTES, _compact_size(parameters))
    return parameters


def _bounded_payload(payload: dict[str, Any]) -> dict[str, Any]:
    _refuse_above(MAX_PAYLOAD_BYTES, _compact_size(payload))
    return payload


#: Any JSON value, kept as it is.
Json = Annotated[Any, AfterValidator(_finite)]
#: Any JSON object, kept as it is.
Document = Annotated[dict[str, Any], AfterValidator(_finite)]
Parameters = Annotated[dict[str, Any], AfterValidator(_bounded_parameters)]
Payload = Annotated[dict[str, Any], AfterValidator(_bounded_payload)]
