"""Frames of the websocket between a worker and its pool: `/work_pools/{name}/workers/connect`.

Unknown fields are errors on both sides. What the server never sends or accepts (the frames of
cleaning up) is left out.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from penstock.contract.rest.wire import (
    DateTime,
    Document,
    Key,
    NaturalInt32,
    PositiveInt32,
    WireModel,
)

CHANNEL_VERSION = "work_pool_worker_channel.v1"
#: what a worker must ask for, and all that this server offers
CAPABILITIES = ("worker_heartbeat.v1", "work_pool_snapshot.v1")

_Texts = Annotated[list[Key], Field(min_length=1, max_length=100)]


class WorkerHello(WireModel):
    """Who connects, and what it wants."""

    consumer_id: UUID
    worker_name: Key
    worker_type: Key
    heartbeat_interval_seconds: PositiveInt32
    supported_channel_versions: _Texts
    requested_capabilities: _Texts
    #: empty: all queues of the pool
    work_queue_names: Annotated[list[Key], Field(max_length=10_000)] = Field(default_factory=list)
    handled_cleanup_kinds: Annotated[list[Key], Field(max_length=100)] = Field(default_factory=list)
    max_cleanup_concurrency: NaturalInt32 = 0
    create_pool_if_not_found: bool = False
    default_base_job_template: Document = Field(default_factory=dict)
    worker_metadata: Document | None = None


class WorkerHeartbeat(WireModel):
    """The worker is alive."""

    consumer_id: UUID
    worker_name: Key
    heartbeat_interval_seconds: PositiveInt32


class WorkerHelloFrame(WireModel):
    """The worker's first frame."""

    type: Literal["worker.hello.v1"]
    id: UUID
    sent_at: DateTime
    payload: WorkerHello


class WorkerHeartbeatFrame(WireModel):
    """Every further frame of the worker."""

    type: Literal["worker.heartbeat.v1"]
    id: UUID
    sent_at: DateTime
    payload: WorkerHeartbeat


class ResolvedWorkQueue(WireModel):
    """A queue that the worker serves."""

    id: UUID
    name: str


class WorkPoolSnapshot(WireModel):
    """The pool as it is now."""

    #: 1 for the first of a connection, then one more each
    snapshot_sequence: int
    #: `initial`, `work_pool_updated` or `heartbeat_reconciliation`
    reason: str
    work_pool: dict[str, Any]


class WorkerReady(WireModel):
    """What the worker gets of what it wants."""

    consumer_id: UUID
    worker_id: UUID | None
    selected_channel_version: str
    effective_heartbeat_interval_seconds: int
    accepted_capabilities: list[str]
    rejected_capabilities: list[str]
    effective_max_cleanup_concurrency: int
    resolved_work_queues: list[ResolvedWorkQueue]
    initial_snapshot: WorkPoolSnapshot


class WorkerReadyFrame(WireModel):
    """The server's first frame."""

    type: Literal["worker.ready.v1"]
    id: UUID
    sent_at: datetime
    payload: WorkerReady


class WorkPoolSnapshotFrame(WireModel):
    """Every further frame of the server."""

    type: Literal["work_pool.snapshot.v1"]
    id: UUID
    sent_at: datetime
    payload: WorkPoolSnapshot
