"""Work pools and their workers: wire shapes of `/work_pools`, without its queues."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from penstock.contract.enums import WorkerStatus, WorkPoolStatus
from penstock.contract.rest.filters import WorkerFilter, WorkPoolFilter
from penstock.contract.rest.flow_runs import FlowRun
from penstock.contract.rest.states import Page
from penstock.contract.rest.wire import (
    MAX_PAGE,
    DateTime,
    Document,
    ListBody,
    Name,
    NaturalInt32,
    Offset,
    PageLimit,
    PageNumber,
    PositiveInt32,
    ShortText,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)
from penstock.contract.rest.work_queues import WorkQueueConcurrencyStatusDetail


class WorkPoolStorageConfiguration(WireModel):
    """Where workers of a pool find bundled code and keep results."""

    bundle_upload_step: Document | None = None
    bundle_execution_step: Document | None = None
    default_result_storage_block_id: UUID | None = None


class WorkPoolCreate(WireModel):
    """A work pool to create."""

    name: Name
    description: Text | None = None
    type: ShortText = "prefect-agent"
    base_job_template: Document = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: NaturalInt32 | None = None
    storage_configuration: WorkPoolStorageConfiguration = Field(
        default_factory=WorkPoolStorageConfiguration
    )


class WorkPoolUpdate(WireModel):
    """The changes of a work pool; only fields that were sent count."""

    description: Text | None = None
    is_paused: bool | None = None
    base_job_template: Document | None = None
    concurrency_limit: NaturalInt32 | None = None
    storage_configuration: WorkPoolStorageConfiguration | None = None


class WorkPoolResponse(WireAnswer):
    """A work pool."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    description: str | None = None
    type: str
    base_job_template: dict[str, Any] = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = None
    #: Runs that hold a slot; null without a limit.
    active_slots: int | None = None
    status: WorkPoolStatus | None = None
    default_queue_id: UUID | None = None
    storage_configuration: WorkPoolStorageConfiguration = Field(
        default_factory=WorkPoolStorageConfiguration
    )


class WorkerFlowRunResponse(WireAnswer):
    """A due flow run, for a worker to take."""

    work_pool_id: UUID
    work_queue_id: UUID
    flow_run: FlowRun


class WorkPoolConcurrencyStatus(Page):
    """Which queues and runs hold the slots of a pool."""

    concurrency_limit: int | None = None
    active_slots: int
    queues: list[WorkQueueConcurrencyStatusDetail] = Field(default_factory=list)


class WorkerResponse(WireAnswer):
    """A worker of a pool."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    work_pool_id: UUID
    last_heartbeat_time: datetime | SkipJsonSchema[None] = None
    heartbeat_interval_seconds: int | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE


class WorkPoolsCountBody(ListBody):
    """Body of `POST /work_pools/count`."""

    work_pools: WorkPoolFilter | None = None


class WorkPoolsFilterBody(ListBody):
    """Body of `POST /work_pools/filter`."""

    work_pools: WorkPoolFilter | None = None
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class WorkPoolScheduledFlowRunsBody(ListBody):
    """Body of `POST /work_pools/{name}/get_scheduled_flow_runs`."""

    #: None: all queues of the pool.
    work_queue_names: (
        Annotated[list[ShortText], Field(max_length=10_000)] | SkipJsonSchema[None]
    ) = None
    scheduled_before: DateTime | SkipJsonSchema[None] = None
    scheduled_after: DateTime | SkipJsonSchema[None] = None
    limit: PageLimit = MAX_PAGE


class WorkPoolConcurrencyStatusBody(ListBody):
    """Body of `POST /work_pools/{name}/concurrency_status`."""

    page: PageNumber = 1
    limit: PageLimit = MAX_PAGE
    flow_run_limit: Annotated[int, Field(ge=0, le=200)] = 10


class WorkersFilterBody(ListBody):
    """Body of `POST /work_pools/{name}/workers/filter`."""

    workers: WorkerFilter | None = None
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class WorkerHeartbeatBody(WireBody):
    """Body of `POST /work_pools/{name}/workers/heartbeat`."""

    name: Annotated[ShortText, Field(min_length=1)]
    heartbeat_interval_seconds: PositiveInt32 | None = None
