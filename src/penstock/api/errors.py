"""The one table from errors to answers, for both dialects; nothing below the doors knows HTTP."""

import logging
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from penstock.core import errors

logger = logging.getLogger(__name__)

STATUS: dict[type[errors.PenstockServerError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.InvalidInput: 422,
    errors.HydrationError: 400,
    errors.BadRequest: 400,
    errors.Forbidden: 403,
    errors.Gone: 410,
    errors.Locked: 423,
    errors.NotServed: 501,
    errors.Unavailable: 503,
    # not 503: clients would wait and ask again, and again
    errors.Misconfigured: 500,
    # not 503, which says that nothing was done and that any request may be repeated
    errors.OutcomeUnknown: 502,
}
#: bytes of an offending request that its 422 answer repeats at most
ECHO_BYTES = 10_000
#: errors of one request that its answer lists at most
MAX_DETAILS = 100


class BodyTooLarge(Exception):
    """A body without a declared length grew beyond its limit."""


class InvalidRequest(Exception):
    """A body or query that does not have the shape the contract gives it."""

    def __init__(
        self, error: ValidationError, raw: bytes, where: str = "body", *, private: bool = False
    ) -> None:
        super().__init__("Invalid request" if private else str(error))
        self.details = [
            {
                "type": d["type"],
                "loc": [where, *d["loc"]],
                "msg": d["msg"],
                "input": None if private else _echo(d.get("input"), raw),
                **({"ctx": _texts(d["ctx"])} if "ctx" in d else {}),
            }
            for d in error.errors(include_url=False)[:MAX_DETAILS]
        ]
        self.raw = b"" if private else raw


def _echo(value: Any, raw: bytes) -> Any:
    """What an answer repeats of a request: nothing of a long one."""
    if len(raw) > ECHO_BYTES:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _texts(ctx: dict[str, Any]) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None))
    return {k: v if isinstance(v, plain) else str(v) for k, v in ctx.items()}


def _dumps(content: Any) -> bytes:
    return orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def error_response(status: int, content: dict[str, Any], retry_after: float | None) -> Response:
    """A JSON answer for an error."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Response(_dumps(content), status, headers, media_type="application/json")


def validation_response(details: list[dict[str, Any]], raw: bytes) -> Response:
    """422 with the contract's `detail` and what the Prefect client reads, in one body."""
    echo: Any = None
    if raw and len(raw) <= ECHO_BYTES:
        try:
            echo = orjson.loads(raw)
        except orjson.JSONDecodeError:
            echo = raw.decode("utf-8", "replace")
    content = {
        "detail": details,
        # compat: prefect 3.8.8 shows these two
        "exception_message": "Invalid request received.",
        "exception_detail": details,
        "request_body": echo,
    }
    try:
        return error_response(422, content, None)
    except orjson.JSONEncodeError:  # an input with numbers or text that JSON cannot hold
        for d in details:
            d["input"] = repr(d["input"])[:200]
        return error_response(422, content | {"request_body": None}, None)


def text_response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that only says what is the matter."""
    return Response(_dumps({"detail": detail}), status, headers, media_type="application/json")


def status_of(error: errors.PenstockServerError) -> int:
    """The HTTP status of an error of the domain."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def answer(error: Exception) -> Response:
    """The answer for any error; one that nobody foresaw is logged and becomes a 500."""
    if isinstance(error, errors.InvalidInput):
        detail = {"loc": list(error.loc), "msg": error.message, "type": "value_error"}
        return validation_response([detail | {"input": None}], b"")
    if isinstance(error, errors.PenstockServerError):
        content = {"detail": error.message, "exception_message": error.message}
        retry_after = getattr(error, "retry_after", None)
        return error_response(status_of(error), content, retry_after)
    if isinstance(error, InvalidRequest):
        return validation_response(error.details, error.raw)
    logger.error("A request failed in an unexpected way", exc_info=error)
    return error_response(500, {"exception_message": "Internal Server Error"}, None)
