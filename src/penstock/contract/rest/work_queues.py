"""Work queues: wire shapes of `/work_queues` and `/work_pools/{name}/queues`."""

from datetime import datetime
from uuid import UUID

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from penstock.contract.enums import StateType, WorkQueueStatus
from penstock.contract.rest.filters import WorkQueueFilter
from penstock.contract.rest.states import Page
from penstock.contract.rest.wire import (
    MAX_PAGE,
    DateTime,
    ListBody,
    Name,
    NaturalInt32,
    Offset,
    PageLimit,
    PageNumber,
    PositiveInt32,
    Tags,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)


class QueueFilter(WireBody):
    """Which runs a queue of the first generation takes."""

    tags: Tags | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueueCreate(WireModel):
    """A work queue to create."""

    name: Name
    description: Text | None = ""
    is_paused: bool = False
    concurrency_limit: NaturalInt32 | None = None
    #: 1 is served first. None: after all others.
    priority: PositiveInt32 | None = None
    filter: QueueFilter | None = Field(default=None, json_schema_extra={"deprecated": True})


class WorkQueueUpdate(WireModel):
    """The changes of a work queue; only fields that were sent count."""

    name: Name | None = None
    description: Text | None = None
    is_paused: bool = False
    concurrency_limit: NaturalInt32 | None = None
    priority: PositiveInt32 | None = None
    last_polled: DateTime | None = None
    filter: QueueFilter | None = Field(default=None, json_schema_extra={"deprecated": True})


class WorkQueue(WireAnswer):
    """A work queue."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    priority: int = 1
    work_pool_id: UUID | None = None
    filter: QueueFilter | None = Field(default=None, json_schema_extra={"deprecated": True})
    last_polled: datetime | None = None


class WorkQueueResponse(WorkQueue):
    """A work queue with its pool's name and its status."""

    work_pool_name: str | None = None
    status: WorkQueueStatus | None = None
    active_slots: int | None = None


class WorkQueueHealthPolicy(WireAnswer):
    """When a queue counts as healthy."""

    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = 60


class WorkQueueStatusDetail(WireAnswer):
    """Whether a queue is polled and none of its runs is late."""

    healthy: bool
    late_runs_count: int = 0
    last_polled: datetime | None = None
    health_check_policy: WorkQueueHealthPolicy


class FlowRunSlotSummary(WireAnswer):
    """A flow run that holds a slot."""

    id: UUID
    name: str
    state_type: StateType | None = None
    state_name: str | None = None
    state_timestamp: datetime | None = None
    start_time: datetime | None = None
    #: Seconds.
    time_in_current_state: float | None = None


class WorkQueueConcurrencyStatus(Page):
    """Which runs hold the slots of a queue."""

    concurrency_limit: int | None = None
    active_slots: int
    flow_runs: list[FlowRunSlotSummary] = Field(default_factory=list)


class WorkQueueConcurrencyStatusDetail(WireAnswer):
    """One queue within the concurrency status of its pool."""

    queue_id: UUID
    queue_name: str
    concurrency_limit: int | None = None
    active_slots: int
    flow_run_count: int | None = None
    flow_runs: list[FlowRunSlotSummary] = Field(default_factory=list)


class WorkQueuesFilterBody(ListBody):
    """Body of `POST /work_queues/filter` and `POST /work_pools/{name}/queues/filter`."""

    work_queues: WorkQueueFilter | None = None
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class WorkQueueRunsBody(ListBody):
    """Body of `POST /work_queues/{id}/get_runs`."""

    limit: PageLimit = MAX_PAGE
    scheduled_before: DateTime | SkipJsonSchema[None] = None


class WorkQueueConcurrencyStatusBody(ListBody):
    """Body of `POST /work_queues/{id}/concurrency_status`."""

    page: PageNumber = 1
    limit: PageLimit = MAX_PAGE
