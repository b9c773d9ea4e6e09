"""`python -m penstock.server`: start a server and say where it serves."""

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn
import uvloop

from penstock.core.errors import Unavailable
from penstock.server.app import Server, exit_when_idle
from penstock.server.settings import parse
from penstock.server.websocket_protocol import ConfirmingWebSocket
from penstock.store.database import sqlite_path
from penstock.store.engines.sqlite import FileIsHeld
from penstock.store.migrations import SchemaIsOld

#: another server holds the database file
EXIT_HELD = 3
#: how long a server waits for one that leaves by itself
PATIENCE_SECONDS = 90


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; the exit code (3: another server holds the database file)."""
    settings = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Threads hand work to each other often; the default of 5 ms would let one starve the others.
    sys.setswitchinterval(0.001)
    # A request's objects go by reference counting; looking for cycles after every 700 new ones
    # costs a fifth of the time of a large body.
    gc.set_threshold(50_000, 20, 20)
    try:
        settings.check()
        sqlite_path(settings.database_url)  # says what is wrong with the URL
        listener = listening_socket(settings.host, settings.port)
    except (OSError, ValueError) as e:
        print(f"Error: {e}", file=sys.stderr)
        return 2
    server = Server(settings)
    config = uvicorn.Config(
        server.app,
        log_level=settings.log_level,
        access_log=False,
        proxy_headers=False,
        http="httptools",
        ws=ConfirmingWebSocket,
        lifespan="off",
        ws_ping_interval=20,
        ws_ping_timeout=20,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        server_header=False,
        date_header=False,
    )
    try:
        return uvloop.run(serve_when_free(server, config, listener))
    except FileIsHeld as e:
        print(f"Error: {e}", file=sys.stderr)
        return EXIT_HELD
    except (SchemaIsOld, Unavailable, OSError) as e:
        print(f"Error: {e}", file=sys.stderr)
        return 2


async def serve_when_free(server: Server, config: uvicorn.Config, listener: socket.socket) -> int:
    """Serve; wait before that for a server that a flow or a command has started to leave."""
    patience = time.monotonic() + PATIENCE_SECONDS
    told = False
    while True:
        try:
            return await serve(server, config, listener)
        except FileIsHeld as e:
            mine_leaves = server.settings.idle_exit_seconds is not None
            if not e.leaves or mine_leaves or time.monotonic() > patience:
                raise
            if not told:
                print(f"Waiting: {e}. It leaves a minute after its last use", file=sys.stderr)
                told = True
        await asyncio.sleep(0.5)


async def serve(server: Server, config: uvicorn.Config, listener: socket.socket) -> int:
    """Serve until told to stop; the exit code."""
    async with server.running():
        runner = _Runner(config, server, f"http://{_shown(listener)}/api")
        await runner.serve(sockets=[listener])
    return 0 if runner.started else 1


class _Runner(uvicorn.Server):
    """uvicorn's server, which also says when it serves and ends when nobody uses it."""

    def __init__(self, config: uvicorn.Config, server: Server, url: str) -> None:
        super().__init__(config)
        self._penstock = server
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        gc.freeze()  # what was loaded to serve stays, and need not be looked at again
        database = self._penstock.database
        if database is not None and database.lock is not None:
            leaves = self._penstock.settings.idle_exit_seconds is not None
            database.lock.tell(self._url, leaves=leaves)
        print(f"Penstock is serving at {self._url}", flush=True)
        seconds = self._penstock.settings.idle_exit_seconds
        if seconds is not None:
            self._idle = asyncio.create_task(exit_when_idle(self._penstock, seconds, self._stop))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Serve no more; unlike uvicorn's, the exit code stays 0 and the loops end in order."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def _stop(self) -> None:
        self.should_exit = True


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket; OSError says which address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as e:
        listener.close()
        raise OSError(f"Cannot listen at {host}:{port} ({e.strerror}); use another --port") from e
    listener.set_inheritable(True)
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
