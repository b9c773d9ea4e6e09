"""The two servers as one: a request goes to both, an answer's value stands for both values."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from tests.wire.differences.compare import Comparison, Found, Json

#: what an earlier answer did not have; no server knows it
NOWHERE = "00000000-0000-4000-8000-000000000000"
#: the status of a request whose connection broke, and again when it was repeated
NO_ANSWER = 599
THEIRS, OURS = 0, 1


class Value:
    """A value of an earlier answer: each server is sent its own."""

    def __init__(self, answer: "Answer", path: tuple[str | int, ...] = ()) -> None:
        self._answer = answer
        self._path = path

    def __getitem__(self, key: str | int) -> "Value":
        return Value(self._answer, (*self._path, key))

    def of(self, side: int) -> Json:
        """The value in the answer of one server; an id that nothing has when there is none."""
        value = self._answer.bodies[side]
        for key in self._path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return NOWHERE
        return value


@dataclass(frozen=True)
class Text:
    """A text with values of earlier answers in it: `Text("prefect.flow-run.{}", run["id"])`."""

    template: str
    value: Value

    def of(self, side: int) -> str:
        """The text for one server."""
        return self.template.replace("{}", str(self.value.of(side)))


@dataclass(frozen=True)
class After:
    """What comes after a mark in a text of an earlier answer: the token in an address."""

    mark: str
    value: Value

    def of(self, side: int) -> str:
        """The rest of the text for one server."""
        return str(self.value.of(side)).partition(self.mark)[2]


def for_side(value: Json, side: int) -> Json:
    """A request with every earlier value replaced by what this server answered."""
    if isinstance(value, Value | Text | After):
        return value.of(side)
    if isinstance(value, dict):
        return {key: for_side(item, side) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [for_side(item, side) for item in value]
    return value


@dataclass
class Answer:
    """What both servers said to one request."""

    operation: str
    request: Json
    statuses: tuple[int, int]
    bodies: tuple[Json, Json]
    differences: list[Found] = field(default_factory=list)

    def __getitem__(self, key: str | int) -> Value:
        return Value(self)[key]


class Pair:
    """Both servers, for one sequence of requests. Every request is an `Answer` in `answers`."""

    def __init__(self, clients: tuple[httpx.Client, httpx.Client], pool: ThreadPoolExecutor):
        self._clients = clients
        self._pool = pool
        self._comparison = Comparison()
        self.answers: list[Answer] = []

    def get(self, path: str, **values: Any) -> Answer:
        """GET; see `call`."""
        return self.call("GET", path, None, **values)

    def post(self, path: str, body: Json = None, **values: Any) -> Answer:
        """POST; see `call`."""
        return self.call("POST", path, {} if body is None else body, **values)

    def patch(self, path: str, body: Json, **values: Any) -> Answer:
        """PATCH; see `call`."""
        return self.call("PATCH", path, body, **values)

    def put(self, path: str, body: Json, **values: Any) -> Answer:
        """PUT; see `call`."""
        return self.call("PUT", path, body, **values)

    def delete(self, path: str, **values: Any) -> Answer:
        """DELETE; see `call`."""
        return self.call("DELETE", path, None, **values)

    def call(
        self,
        method: str,
        path: str,
        body: Json,
        *,
        content: bytes | None = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        compared: bool = True,
        **values: Any,
    ) -> Answer:
        """Both answers to a request at a path of the contract, whose `{names}` are `values`.

        `content` is sent as it is, in place of `body`. An answer that is not `compared` only gives
        its values.
        """
        request = {"body": body, **values}
        for extra in (params, headers):
            request |= extra or {}
        self._comparison.remember(for_side(request, THEIRS))
        self._comparison.remember(for_side(request, OURS))

        def send(side: int) -> httpx.Response:
            options: dict[str, Any] = {"headers": headers, "params": for_side(params, side)}
            if content is not None:
                options["content"] = content
            elif body is not None:
                options["json"] = for_side(body, side)
            url = path.format(**{k: _segment(for_side(v, side)) for k, v in values.items()})
            return send_again(self._clients[side], method, url, **options)

        theirs, ours = self._pool.map(send, (THEIRS, OURS))
        answer = Answer(
            f"{method} {path}",
            for_side(request | ({} if content is None else {"body": repr(content)}), OURS),
            (theirs.status_code, ours.status_code),
            (_json(theirs), _json(ours)),
        )
        if compared and not _one_sided(request):
            answer.differences = self._compare(theirs, ours, answer)
        self.answers.append(answer)
        return answer

    def each(self, do: Callable[[httpx.Client], None]) -> None:
        """Do something with both servers that is not compared."""
        list(self._pool.map(do, self._clients))

    def _compare(self, theirs: httpx.Response, ours: httpx.Response, answer: Answer) -> list[Found]:
        if theirs.status_code != ours.status_code:
            return [Found("HTTP status", theirs.status_code, ours.status_code)]
        found = []
        for name in ("content-type", "retry-after"):
            t, o = (r.headers.get(name) for r in (theirs, ours))
            if t != o if name == "content-type" else (t is None) != (o is None):
                found.append(Found(f"header {name}", t, o))
        bodies = [error_of(b) if theirs.is_error else b for b in answer.bodies]
        if theirs.is_error and None in bodies:
            return found
        return found + self._comparison.differences(*bodies, answer.operation.rsplit("/")[-1])


def _one_sided(value: Json) -> bool:
    """Whether a request needs what only one server has answered: that difference is known."""
    if isinstance(value, Text | After):
        value = value.value
    if isinstance(value, Value):
        return (value.of(THEIRS) == NOWHERE) != (value.of(OURS) == NOWHERE)
    if isinstance(value, dict):
        return any(map(_one_sided, value.values()))
    return isinstance(value, list | tuple) and any(map(_one_sided, value))


def send_again(server: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """The answer to a request that is repeated when the connection breaks, and after a 503.

    The peer sometimes closes a connection after a 500, when the next request is on its way.
    """
    broken: Exception | None = None
    for _ in range(8):
        try:
            answer = server.request(method, url, **options)
        except httpx.TransportError as e:
            broken = e
            continue
        if answer.status_code != 503:
            return answer
        time.sleep(0.5)
    if broken is None:
        return answer
    return httpx.Response(NO_ANSWER, text=f"{method} {url}: {broken!r}")


def error_of(body: Json) -> Json:
    """What a client may rely on in the body of an error: which fields were refused, and why."""
    if not isinstance(body, dict) or not isinstance(body.get("exception_detail"), list):
        return None
    return {"refused": sorted({_refused(d) for d in body["exception_detail"]})}


def _refused(detail: dict[str, Any]) -> str:
    return ".".join(str(part) for part in detail.get("loc", [])[:2])


def _segment(value: Any) -> str:
    return quote(str(value), safe="")


def _json(response: httpx.Response) -> Json:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text
