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
            taken = self._take()
            error = await self._error_of([row for part, _ in taken for row in part])
            for part, waiter in taken:
                # Rows that cannot be stored spoil nothing for those beside them.
                alone = len(taken) > 1 and not isinstance(error, Unavailable | None)
                answer(waiter, None, await self._error_of(part) if alone else error)
        self._task = None

    async def _error_of(self, rows: Sequence[Any]) -> Exception | None:
        """Write the rows; why they could not be written."""
        assert self._now is not None
        try:
            await self._write(list(rows), self._now)
        except Exception as e:  # whatever it is belongs to the callers who wait
            return e
        return None

    def _take(self) -> list[tuple[Sequence[Any], asyncio.Future[Any]]]:
        rows = count = 0
        for part, _ in self._waiting:
            if count and rows + len(part) > MAX_ROWS:
                break
            rows += len(part)
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._rows -= rows
        return taken
