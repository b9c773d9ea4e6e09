"""`/task_runs/subscriptions/scheduled`: task workers get what is to run (rest-v3 §6.6)."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from penstock.api.streams import streams
from penstock.api.websockets.handshake import Refused, converse, receive
from penstock.contract.rest.wire import Text
from penstock.core.errors import PenstockServerError
from penstock.core.ids import new_id
from penstock.operations import task_deliveries as deliveries
from penstock.operations.hub import DueRuns, Waiter
from penstock.operations.task_deliveries import Subscriber
from penstock.store.database import Database

logger = logging.getLogger(__name__)

#: the close code of a client that says something else than it should
UNEXPECTED = 4001
#: how soon to look again after the database could not be asked
RETRY_SECONDS = 1.0
#: between two looks, where another server is just about to claim what waits
PAUSE_SECONDS = 0.05

Reading = asyncio.Task[dict[str, Any]]


class _Subscribe(BaseModel):
    """The message that says which tasks a task worker serves."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["subscribe"]
    keys: list[Text] = Field(min_length=1, max_length=1000)
    client_id: Text = Field(min_length=1)


async def scheduled_task_runs(websocket: WebSocket) -> None:
    """Send the task runs that wait for a task worker, one after another acknowledgement."""
    await converse(websocket, _serve)


async def _serve(websocket: WebSocket) -> None:
    message = await receive(websocket, UNEXPECTED)
    try:
        wanted = _Subscribe.model_validate(message)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(UNEXPECTED, f"Expected a subscription: {place}: {first['msg']}") from None
    db: Database = websocket.app.state.database
    now = datetime.now(UTC)
    keys = list(dict.fromkeys(wanted.keys))
    subscriber = Subscriber(new_id(now), wanted.client_id, keys)
    await db.write(partial(deliveries.add_subscriber, subscriber=subscriber, now=now))
    conversation = _Conversation(websocket, db, streams(websocket).hub.due_tasks, subscriber)
    try:
        await conversation.run()
    finally:
        await conversation.end()


class _Conversation:
    """What is said between the server and one task worker."""

    def __init__(
        self, websocket: WebSocket, db: Database, due: DueRuns, subscriber: Subscriber
    ) -> None:
        self._websocket = websocket
        self._db = db
        self._due = due
        self._subscriber = subscriber
        self._seen = asyncio.get_running_loop().time()
        self._reading = self._read()

    def _read(self) -> Reading:
        return asyncio.create_task(receive(self._websocket, UNEXPECTED))

    async def run(self) -> None:
        """Send what there is until the client leaves."""
        while (run := await self._next()) is not None:
            text = orjson.dumps(run, option=orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_SUBCLASS)
            await self._websocket.send_text(text.decode())
            await asyncio.wait({self._reading}, timeout=deliveries.ACK_SECONDS)
            if not self._reading.done():
                raise Refused(UNEXPECTED, "The task run was not acknowledged in time")
            if self._reading.result().get("type") != "ack":
                break
            self._reading = self._read()
            await self._acknowledge()
        if self._reading.result().get("type") != "quit":
            raise Refused(UNEXPECTED, "Expected a message of type ack or quit")
        await self._websocket.close()

    async def _next(self) -> dict[str, Any] | None:
        """The next task run for the client; None once the client has said something."""
        while True:
            with self._due.waiter(self._subscriber.task_keys) as waiter:
                # Looking after joining the waiters: no task run is missed in between.
                run = await self._claim()
                if run is not None or self._reading.done():
                    return run
                if await self._wait(waiter, await self._patience()):
                    waiter.wake()  # for the next in the line
            await self._note_seen()

    async def _claim(self) -> dict[str, Any] | None:
        if self._reading.done():
            return None
        now = datetime.now(UTC)
        claim = partial(deliveries.take_task_run, subscriber=self._subscriber, now=now)
        try:
            run: dict[str, Any] | None = await self._db.write(claim)
        except PenstockServerError as e:
            logger.warning("Task runs cannot be delivered now: %s", e)
            await asyncio.sleep(RETRY_SECONDS)
            return None
        if run is not None:
            self._subscriber.claimed = run["id"]
            self._rotate(run["task_key"])
        return run

    def _rotate(self, key: str) -> None:
        """Look for that task last from now on, so that no task keeps others waiting."""
        self._subscriber.task_keys.remove(key)
        self._subscriber.task_keys.append(key)

    async def _patience(self) -> float:
        """Seconds until another look makes sense without a wake-up."""
        look = partial(deliveries.next_delivery, task_keys=self._subscriber.task_keys)
        try:
            at = await self._db.read(look)
        except PenstockServerError:
            return RETRY_SECONDS
        if at is None:
            return deliveries.SEEN_SECONDS
        seconds = (at - datetime.now(UTC)).total_seconds()
        return max(PAUSE_SECONDS, min(seconds, deliveries.SEEN_SECONDS))

    async def _wait(self, waiter: Waiter, seconds: float) -> bool:
        """Whether a wake-up came that nobody uses here, as the client has said something."""
        waiting = asyncio.create_task(waiter.wait(seconds))
        await asyncio.wait({waiting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        if not self._reading.done():
            return False
        waiting.cancel()
        woken = await asyncio.gather(waiting, return_exceptions=True)
        return woken[0] is True

    async def _acknowledge(self) -> None:
        id = self._subscriber.claimed
        assert id is not None
        # From here on the client runs it: it must not be given to anybody else.
        self._subscriber.claimed = None
        done = partial(deliveries.acknowledge_task_run, id=id, subscriber=self._subscriber)
        try:
            await self._db.write(done)
        except PenstockServerError as e:
            # It is delivered again only if the client has not reported by then that it runs.
            logger.warning("An acknowledgement could not be noted: %s", e)

    async def _note_seen(self) -> None:
        time = asyncio.get_running_loop().time()
        if time - self._seen < deliveries.SEEN_SECONDS:
            return
        self._seen = time
        now = datetime.now(UTC)
        see = partial(deliveries.see_subscriber, subscriber=self._subscriber, now=now)
        try:
            await self._db.write(see)
        except PenstockServerError as e:
            logger.warning("A task worker could not be noted: %s", e)

    async def end(self) -> None:
        """Give back what was not acknowledged."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, Refused):
            await self._reading
        now = datetime.now(UTC)
        remove = partial(deliveries.remove_subscriber, subscriber=self._subscriber, now=now)
        try:
            await self._db.write(remove)
        except PenstockServerError as e:
            # What it has claimed is free again when the claim is over.
            logger.warning("A task worker that has left could not be removed: %s", e)
