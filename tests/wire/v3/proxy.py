"""A proxy that misbehaves on purpose: it swallows answers and cuts websockets."""

import re
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy:
    """Stands between a client and a server; use it in a `with` statement."""

    def __init__(self, api_url: str) -> None:
        self._target = urlsplit(api_url)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        #: the API's address by way of the proxy
        self.url = f"http://127.0.0.1:{self._server.server_port}{self._target.path}"
        #: every request that was forwarded: method, path, status of the answer
        self.forwarded: list[tuple[str, str, int]] = []
        #: the requests whose answers were swallowed
        self.lost: list[tuple[str, str]] = []
        self._to_lose: list[tuple[str, re.Pattern[str]]] = []
        self._tunnels: dict[str, list[tuple[socket.socket, socket.socket]]] = {}
        self._lock = threading.Lock()
        self._deaf = threading.Event()

    def lose(self, method: str, path: str, times: int = 1) -> None:
        """Swallow the next answers to such requests (`path`: a pattern of the whole path)."""
        self._to_lose += [(method, re.compile(path))] * times

    def cut(self, path: str) -> int:
        """Cut the websockets to a path, after they have lost what is just being sent.

        How many there were.
        """
        with self._lock:
            tunnels = self._tunnels.pop(path, [])
        for client, server in tunnels:
            for side in (server, client):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
        return len(tunnels)

    def deafen(self) -> None:
        """From now on websockets deliver nothing to the server, though they look alive."""
        self._deaf.set()

    def hear(self) -> None:
        """Websockets that are made from now on deliver again."""
        self._deaf.clear()

    def sockets(self, path: str) -> int:
        """How many websockets to a path are open."""
        with self._lock:
            return len(self._tunnels.get(path, []))

    def __enter__(self) -> "Proxy":
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        for path in list(self._tunnels):
            self.cut(path)
        self._thread.join(10)

    def _loses(self, method: str, path: str) -> bool:
        with self._lock:
            for wanted in self._to_lose:
                if wanted[0] == method and wanted[1].fullmatch(path):
                    self._to_lose.remove(wanted)
                    self.lost.append((method, path))
                    return True
        return False

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Nothing: the suite's output is for the suite."""

            def forward(self) -> None:
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    proxy._tunnel(self)
                else:
                    proxy._forward(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = forward

        return Handler

    def _forward(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        server = HTTPConnection(str(self._target.hostname), self._target.port, timeout=60)
        server.request(request.command, request.path, body, dict(request.headers))
        answer = server.getresponse()
        content = answer.read()
        server.close()
        path = urlsplit(request.path).path.removeprefix(self._target.path)
        self.forwarded.append((request.command, path, answer.status))
        if self._loses(request.command, path):
            request.close_connection = True
            with suppress(OSError):
                request.connection.shutdown(socket.SHUT_RDWR)
            return
        request.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                request.send_header(name, value)
        if answer.status != 204:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _tunnel(self, request: BaseHTTPRequestHandler) -> None:
        """Carry bytes both ways until one side goes, or the test cuts it."""
        request.close_connection = True
        server = socket.create_connection((str(self._target.hostname), self._target.port or 80))
        lines = [f"{request.command} {request.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        server.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        path = urlsplit(request.path).path.removeprefix(self._target.path)
        with self._lock:
            self._tunnels.setdefault(path, []).append((request.connection, server))
        back = threading.Thread(target=_carry, args=(server, request.connection), daemon=True)
        back.start()
        _carry(request.connection, server, None if self._deaf.is_set() else self._deaf)
        back.join(10)
        server.close()
        with self._lock:
            tunnels = self._tunnels.get(path, [])
            if (request.connection, server) in tunnels:
                tunnels.remove((request.connection, server))


def _carry(
    source: socket.socket, target: socket.socket, deaf: threading.Event | None = None
) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if deaf is None or not deaf.is_set():
                target.sendall(data)
    for side in (source, target):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
