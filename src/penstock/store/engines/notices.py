"""How servers on one PostgreSQL database tell each other that the outbox has grown.

NOTIFY takes a lock that all committing transactions share, so it never stands in a unit of work:
each server sends at most one per 10 ms, on a connection of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

CHANNEL = "penstock_outbox"
COALESCE_SECONDS = 0.01
#: between two notices of what is frequent and can wait a little
PACE_SECONDS = 0.1
RECONNECT_SECONDS = 1.0


async def end_tasks(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel tasks and return once they have ended.

    Asks more than once: in Python 3.11 `asyncio.wait_for`, which psycopg uses, can swallow it.
    """
    while waiting := [t for t in tasks if not t.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=0.2)
    await asyncio.gather(*tasks, return_exceptions=True)


class Notices:
    """Sends and receives notices while started; a broken connection is made anew."""

    def __init__(self, url: str, on_notice: Callable[[], None]) -> None:
        self._url = url
        self._on_notice = on_notice
        self._grown = asyncio.Event()
        self._sent_at = -PACE_SECONDS
        self._later: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def tell(self) -> None:
        """Have the other servers (and this one) look into the outbox, soon."""
        self._grown.set()

    def tell_in_time(self) -> None:
        """As `tell`, but not so soon when the last notice was just sent."""
        if self._later is not None:
            return
        loop = asyncio.get_running_loop()
        self._later = loop.call_at(self._sent_at + PACE_SECONDS, self._tell_now)

    def _tell_now(self) -> None:
        self._later = None
        self.tell()

    def start(self) -> None:
        """Begin to send and to receive."""
        for work in (self._listen, self._send):
            self._tasks.append(asyncio.create_task(self._keep_connected(work)))

    async def stop(self) -> None:
        """Close both connections."""
        if self._later is not None:
            self._later.cancel()
        await end_tasks(self._tasks)

    async def _keep_connected(
        self, work: "Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]"
    ) -> None:
        import psycopg  # a server on SQLite does without

        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True
                ) as connection:
                    await work(connection)
            except psycopg.OperationalError as e:
                # Rows are not lost meanwhile: each server also looks by itself every few seconds.
                logger.warning("Notices between servers are interrupted: %s", e)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        self._on_notice()
        async for _ in connection.notifies():
            self._on_notice()

    async def _send(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        while True:
            await self._grown.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            self._grown.clear()
            self._sent_at = asyncio.get_running_loop().time()
            await connection.execute(f"NOTIFY {CHANNEL}")
