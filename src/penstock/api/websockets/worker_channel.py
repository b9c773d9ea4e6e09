"""`/work_pools/{name}/workers/connect`: heartbeats of a worker, news of its pool (rest-v3 §5.5)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocket

from penstock.api.streams import streams
from penstock.api.websockets.handshake import (
    INTERNAL_ERROR,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    SUBPROTOCOL,
    Refused,
    converse,
    receive_content,
    until_one_ends,
)
from penstock.contract.rest.worker_channel import (
    CAPABILITIES,
    CHANNEL_VERSION,
    WorkerHeartbeatFrame,
    WorkerHello,
    WorkerHelloFrame,
)
from penstock.core.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from penstock.core.ids import new_id
from penstock.operations.hub import Subscription
from penstock.operations.work_pools import record_heartbeat
from penstock.operations.worker_channel import Greeted, greet_worker, prepare_greeting
from penstock.store.database import Database
from penstock.store.work_pools import select_work_pool_shape

HELLO_SECONDS = 10.0
#: changes of a pool that come within that time make one snapshot
COALESCING_SECONDS = 0.05
#: what of a pool workers are told about at once
WATCHED = ("base_job_template", "concurrency_limit", "is_paused", "storage_configuration")

Frame = TypeVar("Frame", bound=BaseModel)
Event = dict[str, Any]
Pool = dict[str, Any]


async def connect_worker(websocket: WebSocket) -> None:
    """Greet a worker, note its heartbeats, tell it what changes at its pool."""
    if SUBPROTOCOL not in websocket.scope["subprotocols"]:
        await websocket.close(POLICY_VIOLATION)  # before accepting: HTTP 403
        return
    await converse(
        websocket,
        _Channel(websocket).run,
        unauthorized="authentication_failed",
        unavailable="transient_server_error",
    )


def _protocol_error() -> NoReturn:
    raise Refused(PROTOCOL_ERROR, "protocol_error") from None


def _authorization_failed() -> NoReturn:
    raise Refused(POLICY_VIOLATION, "authorization_failed") from None


def _is_of_pool(name: str) -> bool:
    return name.startswith("prefect.work-pool.")


class _Channel:
    """One worker's connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._name: str = websocket.path_params["name"]
        self._sequence = 0
        #: as the worker knows it
        self._pool: Pool = {}
        self._telling = asyncio.Lock()

    @property
    def _db(self) -> Database:
        db: Database = self._websocket.app.state.database
        return db

    async def run(self, websocket: WebSocket) -> None:
        """Converse until one side leaves."""
        # Listens before the pool is read for the first time, so that no change is missed.
        with streams(websocket).hub.events.subscription(self._concerns, _is_of_pool) as news:
            hello = await self._greet()
            await until_one_ends(self._tell_news(news), self._take_heartbeats(hello))

    def _concerns(self, event: Event) -> bool:
        if not _is_of_pool(event["event"]):
            return False
        return bool(event["resource"].get("prefect.resource.name") == self._name)

    # ------------------------------------------------------------------ beginning

    async def _greet(self) -> WorkerHello:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = (await self._receive(WorkerHelloFrame)).payload
                if CHANNEL_VERSION not in hello.supported_channel_versions:
                    raise Refused(POLICY_VIOLATION, "unsupported_version")
                if not set(CAPABILITIES) <= set(hello.requested_capabilities):
                    _protocol_error()
                greeted = await self._greeted(hello)
        except TimeoutError:
            raise Refused(INTERNAL_ERROR, "transient_server_error") from None
        self._pool = greeted.pool
        await self._send("worker.ready.v1", self._ready(hello, greeted))
        return hello

    async def _greeted(self, hello: WorkerHello) -> Greeted:
        now = datetime.now(UTC)
        try:
            return await self._db.prepare_and_write(
                partial(prepare_greeting, pool_name=self._name, hello=hello),
                partial(greet_worker, pool_name=self._name, hello=hello, now=now),
            )
        except (NotFound, Forbidden):
            _authorization_failed()
        except (InvalidInput, ValidationError):
            _protocol_error()

    def _ready(self, hello: WorkerHello, greeted: Greeted) -> dict[str, Any]:
        wanted = dict.fromkeys(hello.requested_capabilities)
        return {
            "consumer_id": hello.consumer_id,
            "worker_id": None,
            "selected_channel_version": CHANNEL_VERSION,
            "effective_heartbeat_interval_seconds": hello.heartbeat_interval_seconds,
            "accepted_capabilities": list(CAPABILITIES),
            "rejected_capabilities": [c for c in wanted if c not in CAPABILITIES],
            "effective_max_cleanup_concurrency": 0,
            "resolved_work_queues": [{"id": q.id, "name": q.name} for q in greeted.queues],
            "initial_snapshot": self._snapshot("initial"),
        }

    # ------------------------------------------------------------------ afterwards

    async def _take_heartbeats(self, hello: WorkerHello) -> None:
        while True:
            heartbeat = (await self._receive(WorkerHeartbeatFrame)).payload
            said = (heartbeat.consumer_id, heartbeat.worker_name)
            if said != (hello.consumer_id, hello.worker_name):
                _protocol_error()
            try:
                await self._db.write(
                    partial(
                        record_heartbeat,
                        pool_name=self._name,
                        worker=heartbeat.worker_name,
                        interval_seconds=heartbeat.heartbeat_interval_seconds,
                        now=datetime.now(UTC),
                    )
                )
                await self._tell_if(self._was_updated, "heartbeat_reconciliation")
            except NotFound:
                _authorization_failed()
            except (Unavailable, OutcomeUnknown):
                raise Refused(INTERNAL_ERROR, "heartbeat_persistence_failed") from None

    async def _tell_news(self, news: Subscription[Event]) -> None:
        while True:
            await news.take()
            await asyncio.sleep(COALESCING_SECONDS)
            # What comes from here on is read by this look or makes another one.
            try:
                await self._tell_if(self._has_changed, "work_pool_updated")
            except (Unavailable, OutcomeUnknown):
                continue  # the next heartbeat tells it

    async def _tell_if(self, matters: Callable[[Pool], bool], reason: str) -> None:
        """Send the pool as it is now when that `matters`; Refused when it is gone."""
        async with self._telling:
            pool = await self._db.read(partial(select_work_pool_shape, name=self._name))
            if pool is None or pool["id"] != self._pool["id"]:
                _authorization_failed()
            if matters(pool):
                self._pool = pool
                await self._send("work_pool.snapshot.v1", self._snapshot(reason))

    def _was_updated(self, pool: Pool) -> bool:
        return bool(pool["updated"] != self._pool["updated"])

    def _has_changed(self, pool: Pool) -> bool:
        return _watched(pool) != _watched(self._pool)

    # ------------------------------------------------------------------ frames

    async def _receive(self, kind: type[Frame]) -> Frame:
        try:
            return kind.model_validate_json(await receive_content(self._websocket))
        except ValidationError:
            _protocol_error()

    async def _send(self, kind: str, payload: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        frame = {"type": kind, "id": new_id(now), "sent_at": now, "payload": payload}
        await self._websocket.send_text(orjson.dumps(frame, option=orjson.OPT_UTC_Z).decode())

    def _snapshot(self, reason: str) -> dict[str, Any]:
        self._sequence += 1
        return {
            "snapshot_sequence": self._sequence,
            "reason": reason,
            "work_pool": self._pool,
        }


def _watched(pool: Pool) -> bytes:
    return orjson.dumps([pool[key] for key in WATCHED])
