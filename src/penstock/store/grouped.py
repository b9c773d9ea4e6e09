"""Rows of several requests written by one statement: those that arrive while a write is under way
are written together by the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from penstock.core.errors import Unavailable
from penstock.store.threads import answer

Rows = list[Any]
#: above so many rows that wait, requests are refused
MAX_WAITING = 200_000
#: rows of one write; a longer one would make its requests wait too long
MAX_ROWS = 5_000


class GroupedRows:
    """Takes rows and has `write` store them; each caller is answered once its rows are stored."""

    def __init__(self, write: Callable[[Rows, datetime], Awaitable[Any]]) -> None:
        self._write = write
        self._now: datetime | None = None
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[Any]]] = []
        self._rows = 0
        self._task: asyncio.Task[None] | None = None

    async def add(self, rows: Sequence[Any], now: datetime) -> None:
        """Return when the rows are committed. Raises Unavailable when too much waits."""
        if not rows:
            return
        if self._rows > MAX_WAITING:
            raise Unavailable("Too many rows wait to be written", retry_after=1)
        stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, stored))
        self._rows += len(rows)
        self._now = now
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await stored

    async def close(self) -> None:
        """Return when nothing waits any more."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._waiting:
            rows, waiters = self._take()
            error: BaseException | None = None
            try:
                assert self._now is not None
                await self._write(rows, self._now)
            except Exception as e:  # whatever it is belongs to the callers who wait
                error = e
            for waiter in waiters:
                answer(waiter, None, error)
        self._task = None

    def _take(self) -> tuple[Rows, list[asyncio.Future[Any]]]:
        rows: Rows = []
        waiters = []
        taken = 0
        for part, waiter in self._waiting:
            if rows and len(rows) + len(part) > MAX_ROWS:
                break
            rows += part
            waiters.append(waiter)
            taken += 1
        del self._waiting[:taken]
        self._rows -= len(rows)
        return rows, waiters
