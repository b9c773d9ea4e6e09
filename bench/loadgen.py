"""A fast closed-loop HTTP/1.1 load generator: one thread, one epoll loop, keep-alive connections.

An *iteration* is a generator that yields `(label, request bytes)` and is sent `(status, body)`:
four requests that depend on each other are an ordinary generator with four yields. A connection
starts its next iteration when the last has ended. A request's latency runs from handing its bytes
to the kernel to having parsed the last byte of the answer. An iteration that ends in an
AssertionError counts as an error and not as an iteration: rates are of what went well.
"""

import heapq
import itertools
import select
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

Iteration = Generator[tuple[str, bytes], tuple[int, bytes], None]
MakeIteration = Callable[[], Iteration]

_now = time.perf_counter


class CallFailed(Exception):
    """A call made to set something up was answered with an error."""


class Api:
    """Raw requests for one base address such as http://127.0.0.1:4200/api."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.address = (parts.hostname or "", parts.port or 80)
        self._prefix = parts.path.rstrip("/")
        self._head = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Accept: application/json\r\nUser-Agent: bench\r\n"
        )

    def post(self, path: str, body: Any) -> bytes:
        """A POST of JSON; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        head = f"POST {self._prefix}{path}{self._head}Content-Type: application/json\r\n"
        return f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw

    def get(self, path: str) -> bytes:
        """A GET."""
        return f"GET {self._prefix}{path}{self._head}\r\n".encode()

    def call(self, raw: bytes) -> tuple[int, bytes]:
        """Send one request on a connection of its own."""
        connection = Connection(self.address)
        try:
            return connection.call(raw)
        finally:
            connection.close()

    def json(self, raw: bytes) -> Any:
        """The same, parsed; raises CallFailed unless the answer is a 2xx."""
        status, body = self.call(raw)
        if not 200 <= status < 300:
            line = raw.partition(b" HTTP/1.1")[0].decode()
            raise CallFailed(f"{line}: {status} {body[:200].decode(errors='replace')}")
        return orjson.loads(body) if body else None


class _Answer:
    """Collects the bytes of one response until it is whole."""

    __slots__ = ("_body_at", "_chunked", "_end", "_raw", "closes", "status")

    def __init__(self) -> None:
        self._raw = b""
        self._body_at = self._end = -1
        self._chunked = self.closes = False
        self.status = 0

    def feed(self, data: bytes) -> bytes | None:
        """The body once all of it is in, else None."""
        self._raw = raw = self._raw + data if self._raw else data
        if self._body_at < 0 and not self._read_head():
            return None
        if self._chunked:
            whole = raw.endswith(b"0\r\n\r\n")
            return b"".join(self._chunks()) if whole else None
        return raw[self._body_at : self._end] if len(raw) >= self._end else None

    def _read_head(self) -> bool:
        at = self._raw.find(b"\r\n\r\n")
        if at < 0:
            return False
        self._body_at = at + 4
        self.status = int(self._raw[9:12])
        head = self._raw[: at + 2].lower()
        self._chunked = b"\r\ntransfer-encoding: chunked" in head
        self.closes = b"\r\nconnection: close" in head
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        self._end = self._body_at + int(length or 0)
        return True

    def _chunks(self) -> Generator[bytes, None, None]:
        at = self._body_at
        while True:
            line_end = self._raw.index(b"\r\n", at)
            size = int(self._raw[at:line_end].partition(b";")[0], 16)
            if size == 0:
                return
            yield self._raw[line_end + 2 : line_end + 2 + size]
            at = line_end + size + 4


class Connection:
    """A keep-alive connection and the iteration that is under way on it."""

    def __init__(self, address: tuple[str, int], timeout: float = 120.0) -> None:
        self._address = address
        self._timeout = timeout
        self._answer = _Answer()
        self.connect()

    def connect(self) -> None:
        """Connect, again after the server has closed."""
        self.socket = socket.create_connection(self._address, timeout=self._timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, raw: bytes) -> None:
        """Send a request."""
        self._answer = _Answer()
        self.socket.sendall(raw)

    def receive(self) -> tuple[int, bytes] | None:
        """Read what is there: status and body once the answer is whole, else None."""
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        body = self._answer.feed(data)
        return None if body is None else (self._answer.status, body)

    @property
    def closes(self) -> bool:
        """Whether the server closes after the last answer."""
        return self._answer.closes

    def call(self, raw: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its answer."""
        self.send(raw)
        while (answer := self.receive()) is None:
            pass
        return answer


@dataclass
class Result:
    """What a load has shown. Times are in seconds."""

    wall: float = 0.0
    #: of iterations that ended well, each by the clients' label
    iterations: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: of requests, by their label
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)

    def per_second(self, label: str) -> float:
        """Iterations that ended well, per second."""
        return len(self.iterations[label]) / self.wall

    def percentile_ms(self, label: str, percent: float) -> float:
        """That percentile of a request's latency, in milliseconds; nan when there was none."""
        ordered = sorted(self.latencies[label])
        if not ordered:
            return float("nan")
        return ordered[round(percent / 100 * (len(ordered) - 1))] * 1000


class _Client:
    """One connection that repeats one kind of iteration."""

    def __init__(self, api: Api, label: str, make: MakeIteration, pause_seconds: float) -> None:
        self.connection = Connection(api.address)
        self.label = label
        self.make = make
        self.pause_seconds = pause_seconds
        self.iteration: Iteration | None = None
        self.began = self.sent = 0.0
        self.step = ""
        self.raw = b""
        self.resent = False


class Load:
    """Clients of one server, of one kind or several, that run at the same time."""

    def __init__(self, api: Api, seconds: float, max_iterations: int | None = None) -> None:
        self._api = api
        self._seconds = seconds
        self._left = -1 if max_iterations is None else max_iterations
        self._clients: list[_Client] = []
        self._by_fd: dict[int, _Client] = {}
        self._waiting: list[tuple[float, int, _Client]] = []
        self._sequence = itertools.count()
        self._active = 0
        self.result = Result()

    def add(
        self, label: str, make: MakeIteration, connections: int = 1, pause_seconds: float = 0.0
    ) -> "Load":
        """Add connections that repeat an iteration, with a pause between two."""
        for _ in range(connections):
            self._clients.append(_Client(self._api, label, make, pause_seconds))
        return self

    def run(self) -> Result:
        """Run until the time is over and what was under way has ended."""
        self._poll = select.epoll()
        for client in self._clients:
            self._watch(client)
        began = _now()
        self._deadline = began + self._seconds
        for client in self._clients:
            self._begin(client)
        while self._active:
            seconds = self._wake_paused()
            for fd, _ in self._poll.poll(seconds) if self._active else ():
                self._readable(self._by_fd[fd])
        self.result.wall = _now() - began
        self._poll.close()
        for client in self._clients:
            client.connection.close()
        return self.result

    def _watch(self, client: _Client) -> None:
        fd = client.connection.socket.fileno()
        self._by_fd[fd] = client
        self._poll.register(fd, select.EPOLLIN)

    def _reconnect(self, client: _Client) -> None:
        fd = client.connection.socket.fileno()
        self._poll.unregister(fd)
        del self._by_fd[fd]
        client.connection.close()
        client.connection.connect()
        self._watch(client)

    def _begin(self, client: _Client) -> None:
        if _now() >= self._deadline or self._left == 0:
            return
        self._left -= 1
        self._active += 1
        client.iteration = client.make()
        client.began = _now()
        self._send(client, next(client.iteration))

    def _send(self, client: _Client, step: tuple[str, bytes]) -> None:
        client.step, client.raw = step
        client.sent = _now()
        client.resent = False
        client.connection.send(client.raw)

    def _wake_paused(self) -> float:
        """Begin the iterations whose pause is over; seconds until the next one's is."""
        while self._waiting and self._waiting[0][0] <= _now():
            self._active -= 1
            self._begin(heapq.heappop(self._waiting)[2])
        return max(0.0, self._waiting[0][0] - _now()) if self._waiting else 60.0

    def _readable(self, client: _Client) -> None:
        try:
            answer = client.connection.receive()
        except OSError as e:
            self._lost(client, e)
            return
        if answer is None or client.iteration is None:
            return
        self.result.latencies[client.step].append(_now() - client.sent)
        if client.connection.closes:
            self._reconnect(client)
        try:
            step = client.iteration.send(answer)
        except StopIteration:
            self.result.iterations[client.label].append(_now() - client.began)
            self._ended(client)
        except AssertionError as e:
            self.result.errors[str(e)[:160]] += 1
            self._ended(client)
        else:
            self._send(client, step)

    def _lost(self, client: _Client, error: OSError) -> None:
        """A server may close an idle connection just as it is used: send once more."""
        self._reconnect(client)
        if client.iteration is None:
            return
        if client.resent:
            self.result.errors[type(error).__name__] += 1
            self._ended(client)
            return
        client.resent = True
        client.connection.send(client.raw)

    def _ended(self, client: _Client) -> None:
        client.iteration = None
        self._active -= 1
        if client.pause_seconds:
            self._active += 1
            at = _now() + client.pause_seconds
            heapq.heappush(self._waiting, (at, next(self._sequence), client))
        else:
            self._begin(client)
