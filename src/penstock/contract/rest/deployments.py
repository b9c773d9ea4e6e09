"""Deployments: wire shapes of `/deployments`. Their schedules are in `schedules.py`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from penstock.contract.enums import ConcurrencyLimitStrategy, DeploymentSort, DeploymentStatus
from penstock.contract.rest.filters import DeploymentFilter, QueueFilters
from penstock.contract.rest.schedules import (
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
)
from penstock.contract.rest.states import CreatedBy, Page, UpdatedBy
from penstock.contract.rest.wire import (
    MAX_PAGE,
    BulkLimit,
    DateTime,
    Document,
    LabelAnswer,
    Labels,
    ListBody,
    Name,
    NaturalInt32,
    Offset,
    PageLimit,
    PageNumber,
    Parameters,
    PositiveInt32,
    Seconds,
    ShortText,
    Tags,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)

#: Schedules are written in the same unit of work as their deployment.
MAX_SCHEDULES = 100


class ConcurrencyOptions(WireBody):
    """What happens when the deployment's concurrency limit is full."""

    collision_strategy: ConcurrencyLimitStrategy
    #: Seconds for which a slot is kept until the run starts.
    grace_period_seconds: Annotated[int, Field(ge=60, le=86400)] | None = None


class VersionInfo(WireModel):
    """What the deployed code is a version of; further fields are kept."""

    model_config = ConfigDict(extra="allow")

    type: Text
    version: Text


class DeploymentCreate(WireModel):
    """A deployment to create, or to overwrite when flow and name are known."""

    name: Name
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentScheduleCreate] = Field(
        default_factory=list, max_length=MAX_SCHEDULES
    )
    concurrency_limit: PositiveInt32 | None = None
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    enforce_parameter_schema: bool = True
    parameter_openapi_schema: Document | None = Field(default_factory=dict)
    parameters: Parameters = Field(default_factory=dict)
    tags: Tags = Field(default_factory=list)
    labels: Labels | None = None
    pull_steps: list[Document] | None = None
    work_queue_name: ShortText | None = None
    work_pool_name: ShortText | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    description: Text | None = None
    path: Text | None = None
    version: ShortText | None = None
    entrypoint: Text | None = None
    job_variables: Document = Field(default_factory=dict)
    version_info: VersionInfo | None = None


class DeploymentUpdate(WireModel):
    """The changes of a deployment; only fields that were sent count."""

    version: ShortText | None = None
    version_info: VersionInfo | None = None
    description: Text | None = None
    paused: bool = False
    schedules: list[DeploymentScheduleUpdate] = Field(
        default_factory=list, max_length=MAX_SCHEDULES
    )
    concurrency_limit: PositiveInt32 | None = None
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    parameter_openapi_schema: Document | None = None
    parameters: Parameters | None = None
    enforce_parameter_schema: bool | None = None
    tags: Tags = Field(default_factory=list)
    work_queue_name: ShortText | None = None
    work_pool_name: ShortText | None = None
    path: Text | None = None
    job_variables: Document | None = None
    pull_steps: list[Document] | None = None
    entrypoint: Text | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None


class GlobalConcurrencyLimitResponse(WireAnswer):
    """A limit on how many slots of a name may be taken at once."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    active: bool = True
    name: str
    limit: int
    active_slots: int
    slot_decay_per_second: float = 2.0


class DeploymentResponse(WireAnswer):
    """A deployment."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    version: str | None = None
    description: str | None = None
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentSchedule] = Field(default_factory=list)
    #: Always null: the limit is shown as `global_concurrency_limit`.
    concurrency_limit: int | None = Field(default=None, json_schema_extra={"deprecated": True})
    global_concurrency_limit: GlobalConcurrencyLimitResponse | None = None
    concurrency_options: ConcurrencyOptions | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    pull_steps: list[dict[str, Any]] | None = None
    tags: list[str] = Field(default_factory=list)
    labels: LabelAnswer = Field(default_factory=dict)
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    last_polled: datetime | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None = None
    entrypoint: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    created_by: CreatedBy | None = None
    updated_by: UpdatedBy | None = None
    status: DeploymentStatus | None = DeploymentStatus.NOT_READY
    enforce_parameter_schema: bool = True


class DeploymentPaginationResponse(Page):
    """One page of deployments."""

    results: list[DeploymentResponse]


class DeploymentBulkDeleteResponse(WireAnswer):
    """Ids of the deployments that are gone."""

    deleted: list[UUID] = Field(default_factory=list)


class DeploymentsCountBody(QueueFilters):
    """Body of `POST /deployments/count`."""


class DeploymentsFilterBody(QueueFilters):
    """Body of `POST /deployments/filter`."""

    sort: DeploymentSort = DeploymentSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class DeploymentsPaginateBody(QueueFilters):
    """Body of `POST /deployments/paginate`."""

    sort: DeploymentSort = DeploymentSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    page: PageNumber = 1


class DeploymentsBulkDeleteBody(WireModel):
    """Body of `POST /deployments/bulk_delete`. A misspelt filter must not delete anything else."""

    deployments: DeploymentFilter | None = None
    limit: BulkLimit = 50


class DeploymentsScheduledFlowRunsBody(ListBody):
    """Body of `POST /deployments/get_scheduled_flow_runs`."""

    deployment_ids: list[UUID] = Field(max_length=10_000)
    #: None: whatever their time.
    scheduled_before: DateTime | SkipJsonSchema[None] = None
    limit: PageLimit = MAX_PAGE


class DeploymentScheduleBody(WireBody):
    """Body of `POST /deployments/{id}/schedule`. What is None, the scheduler's own values fill."""

    start_time: DateTime | SkipJsonSchema[None] = None
    end_time: DateTime | SkipJsonSchema[None] = None
    min_time: Seconds | SkipJsonSchema[None] = None
    min_runs: NaturalInt32 | SkipJsonSchema[None] = None
    max_runs: NaturalInt32 | SkipJsonSchema[None] = None
