"""Assembles the server: settings, database, doors, loops."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.api.dispatch import Application, Dispatcher
from penstock.api.gate import Gate, Trust
from penstock.api.rest import ROUTERS, all_routers, later_routers
from penstock.api.websockets import SOCKETS
from penstock.operations.polls import Polls
from penstock.operations.streams import open_streams
from penstock.server.settings import Settings, home
from penstock.services import make_loops
from penstock.services.fan_out import fan_out
from penstock.services.loop import Awake, Leases, Loop, run_loop
from penstock.services.retention import retention_loop
from penstock.services.watch import watch
from penstock.store.api_keys import select_api_key_exists
from penstock.store.csrf_tokens import select_csrf_token
from penstock.store.database import Database
from penstock.store.secrets import Secrets, keep_secrets
from penstock.store.transaction import StatementListener

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

#: the API's root
PREFIX = "/api"


class Activity:
    """ASGI middleware that knows since when nobody has used the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._open = 0
        self._last = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request or websocket ended; 0 while one is under way."""
        return 0.0 if self._open else time.monotonic() - self._last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the use, pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        self._open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open -= 1
            self._last = time.monotonic()


class Server:
    """The application and what it needs around it: `app` is what an ASGI server runs."""

    def __init__(self, settings: Settings, *, listener: StatementListener | None = None) -> None:
        self.settings = settings
        self._listener = listener
        self.database: Database | None = None
        self.trust = Trust(settings.auth_string, self._key_is_known)
        application = Application()
        self.state = application.state
        self.state.trust = self.trust
        dispatcher = Dispatcher(
            application, ROUTERS, SOCKETS, PREFIX, lambda: self.api, later_routers
        )
        self.state.csrf_protection = settings.csrf_protection
        csrf_check = self._has_csrf_token if settings.csrf_protection else None
        self.activity = Activity(Gate(dispatcher, self.trust, csrf_check))
        self.app: ASGIApp = self.activity

    @cached_property
    def api(self) -> "FastAPI":
        """The description of every door: what the OpenAPI document is made of."""
        from penstock.api.describe import describe

        return describe(all_routers(), SOCKETS, PREFIX)

    async def _key_is_known(self, key_hash: str) -> bool:
        assert self.database is not None
        return await self.database.read(partial(select_api_key_exists, key_hash=key_hash))

    async def _has_csrf_token(self, client: str, token: str) -> bool:
        assert self.database is not None
        select = partial(select_csrf_token, client=client, now=datetime.now(UTC))
        known = await self.database.read(select)
        return known is not None and hmac.compare_digest(known.encode(), token.encode())

    async def _keep_secrets(self, db: Database) -> None:
        file = self.settings.secret_key_file or home() / "secret.key"
        secrets = Secrets(self.settings.secret_key, file)
        keep_secrets(db.engine.memory, secrets)
        if problem := await db.read(secrets.problem):
            logger.error("Blocks cannot be read or saved. %s", problem)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The database is open and the loops run inside the block.

        Raises FileIsHeld or SchemaIsOld as Database.open does.
        """
        self.database = await Database.open(self.settings.database_url, listener=self._listener)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            await self._keep_secrets(self.database)
            self.state.database = self.database
            streams = await stack.enter_async_context(
                open_streams(self.database, datetime.now(UTC))
            )
            self.state.streams = streams
            self.state.polls = polls = Polls(self.database)
            stack.push_async_callback(polls.close)
            await stack.enter_async_context(fan_out(self.database, streams).running())
            if self.settings.services:
                loops = [*make_loops(), retention_loop(streams, self.settings.keep)]
                await stack.enter_async_context(running_loops(self.database, loops))
            yield


@asynccontextmanager
async def running_loops(db: Database, loops: Sequence[Loop]) -> AsyncIterator[None]:
    """The background loops run inside the block."""
    leases = Leases(db, [loop.name for loop in loops])
    await leases.start()
    awake = Awake()
    tasks = [asyncio.create_task(leases.keep(), name="leases")]
    tasks.append(asyncio.create_task(watch(db, loops, awake), name="watch"))
    tasks += [asyncio.create_task(run_loop(db, leases, x, awake), name=x.name) for x in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await leases.release()


async def exit_when_idle(server: Server, seconds: float, stop: Callable[[], None]) -> None:
    """Call `stop` once nobody has used the server for that long."""
    # ASYNC110 wants an event, but that much time without events is what this waits for.
    while (left := seconds - server.activity.idle_seconds) > 0:  # noqa: ASYNC110
        await asyncio.sleep(left)
    stop()
