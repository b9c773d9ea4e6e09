"""Everything the SDK raises on purpose.

PenstockError
├── ApiError(status, detail): the server refused a request
│   ├── NotFound 404 · Conflict 409 · InvalidInput 422 · Unauthorized 401, 403 · AttemptLost 410
│   └── Unavailable: no answer, or 503 after every retry
├── ServerStartError: the local server could not be started
├── ParameterError: a flow was called with parameters that do not fit its signature
├── EntrypointError: no flow at `file.py:function`
├── RunRefused: a run is not paused or resumed; PauseTimedOut: nobody resumed it in time
├── NoSlotInTime: a concurrency limit stayed full; LeaseLost: its slots were lost meanwhile
├── FailedRun: the result of a run that did not complete was asked for
└── RunAborted: the server ended the run's orchestration; RunCancelled: somebody cancelled it
"""

from __future__ import annotations

from typing import Any


class PenstockError(Exception):
    """The root of the SDK's errors."""


class ApiError(PenstockError):
    """The server answered with an error; `status` is the HTTP status, 0 without an answer."""

    def __init__(self, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        #: seconds after which the server wants to be asked again, when it says so
        self.retry_after: float | None = None


class NotFound(ApiError):
    """There is nothing with this id or name."""


class Conflict(ApiError):
    """The request contradicts what is stored, or the parameters do not fit the schema."""


class InvalidInput(ApiError):
    """The request has a field the server does not accept."""


class Unauthorized(ApiError):
    """The credentials are missing or wrong."""


class AttemptLost(ApiError):
    """Another process owns the run now, or its lease ran out."""


class Unavailable(ApiError):
    """The server did not answer, or asked to come back later."""


class ServerStartError(PenstockError):
    """The local server could not be started."""


class ParameterError(PenstockError, TypeError):
    """The parameters do not fit the flow's signature."""


class EntrypointError(PenstockError):
    """There is no flow at this entrypoint."""


class FailedRun(PenstockError):
    """The run ended in a state that has no result."""


class RunAborted(PenstockError):
    """The server refused to go on with this run."""


class RunRefused(PenstockError):
    """The server does not let the run pause or go on; the message says why."""


class PauseTimedOut(PenstockError, TimeoutError):
    """A paused run was not resumed in time."""


class NoSlotInTime(PenstockError, TimeoutError):
    """A concurrency limit stayed full for as long as the caller would wait."""


class LeaseLost(PenstockError):
    """The server ended the lease on a limit's slots while the code that needs them ran."""


class RunSuspended(BaseException):
    """The run has left its process, until somebody resumes it."""


class RunCancelled(BaseException):
    """The run was cancelled while its body ran."""


class RunTerminated(BaseException):
    """The process that executes the run was asked to stop (SIGTERM)."""


REMEDIES = {
    401: "set PENSTOCK_API_KEY, or PENSTOCK_API_AUTH_STRING, to what the server asks for",
    404: "check the id or name",
    413: "send less at once",
}

ERROR_CLASSES: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    410: AttemptLost,
    422: InvalidInput,
    503: Unavailable,
}


def error_from_answer(status: int, answer: Any, request: str) -> ApiError:
    """The error for an HTTP status and the decoded body, its message in one line."""
    text = " ".join(_detail_text(answer).split()) or f"the server answered {status}"
    remedy = REMEDIES.get(status)
    message = f"{request}: {text}" + (f" ({remedy})" if remedy else "")
    return ERROR_CLASSES.get(status, ApiError)(message, status)


def _detail_text(answer: Any) -> str:
    if not isinstance(answer, dict):
        return str(answer or "")[:500]
    detail = answer.get("detail") or answer.get("exception_detail")
    if isinstance(detail, list):
        return "; ".join(dict.fromkeys(_field_text(entry) for entry in _telling(detail)[:5]))
    return str(detail or answer.get("exception_message") or "")


def _telling(entries: list[Any]) -> list[Any]:
    """Without the shapes that were not meant: a schedule is one of several, each has its say."""
    shapes = [entry for entry in entries if isinstance(entry, dict) and _shape(entry)]
    meant = [entry for entry in shapes if entry.get("type") not in ("missing", "extra_forbidden")]
    return [entry for entry in entries if entry not in shapes or entry in meant or not meant]


def _shape(entry: dict[str, Any]) -> bool:
    return any(map(_is_shape, entry.get("loc", ())))


def _is_shape(part: Any) -> bool:
    return isinstance(part, str) and part.endswith("Schedule")


def _field_text(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    parts = [part for part in entry.get("loc", ()) if part != "body" and not _is_shape(part)]
    field = ".".join(map(str, parts))
    message = str(entry.get("msg", ""))
    return f"{field}: {message}" if field else message
