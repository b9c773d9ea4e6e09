"""Tells the listeners here what clients sent to other servers on the same PostgreSQL database."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from penstock.core.errors import PenstockServerError
from penstock.operations.streams import Streams
from penstock.store.database import Database
from penstock.store.outbox import Told
from penstock.store.taken_in import (
    TAKEN_IN_EVENTS,
    TAKEN_IN_LOGS,
    select_taken_in_events,
    select_taken_in_logs,
)

logger = logging.getLogger(__name__)

#: batches of lines that may wait to be loaded; of more than that, the oldest are not told
MAX_WAITING = 1_000
RETRY_SECONDS = 1.0
#: how often the loading of a batch of lines is tried
TRIES = 3


class TakenInElsewhere:
    """Loads what the rows of other servers tell of, if somebody here listens."""

    def __init__(self, db: Database, streams: Streams) -> None:
        self._db = db
        self._streams = streams
        self._lines: deque[Told] = deque(maxlen=MAX_WAITING)
        self._more = asyncio.Event()

    async def events(self, told: Sequence[Told]) -> dict[int, list[dict[str, Any]]]:
        """The events that the rows tell of and that listeners here want, by the row's `seq`."""
        found: dict[int, list[dict[str, Any]]] = {}
        heard: list[UUID] = []
        try:
            for one in self._of_others(told, TAKEN_IN_EVENTS):
                ids = self._streams.hear_of(UUID(id) for id in one.body["ids"])
                heard += ids
                if ids and self._streams.hub.events.may_want(one.body["names"]):
                    load = partial(select_taken_in_events, told=one, ids=ids)
                    found[one.seq] = await self._db.read(load)
        except BaseException:  # the rows will be read again
            self._streams.forget(heard)
            raise
        return found

    def hear_lines(self, told: Sequence[Told]) -> None:
        """Have the log lines that the rows tell of loaded and published, apart from all else."""
        if self._streams.hub.logs:
            self._lines.extend(self._of_others(told, TAKEN_IN_LOGS))
            self._more.set()

    async def publish_lines(self) -> None:
        """Publish log lines for ever, in the order of their rows."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._lines:
                await self._publish(self._lines.popleft())

    async def _publish(self, told: Told) -> None:
        topic = self._streams.hub.logs
        for _ in range(TRIES):
            if not topic:
                return
            try:
                topic.publish(await self._db.read(partial(select_taken_in_logs, told=told)))
                return
            except PenstockServerError as e:
                logger.warning("Log lines of another server cannot be loaded now: %s", e)
            except Exception:  # the lines behind them must not wait for ever
                logger.exception("Log lines of another server cannot be loaded")
                return
            await asyncio.sleep(RETRY_SECONDS)

    def _of_others(self, told: Sequence[Told], kind: str) -> list[Told]:
        here = str(self._streams.id)
        return [t for t in told if t.kind == kind and t.body["server"] != here]
