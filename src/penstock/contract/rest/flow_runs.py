"""Flow runs: wire shapes of `/flow_runs`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from penstock.contract.enums import FlowRunSort, SetStateStatus, StateType
from penstock.contract.rest.filters import (
    FlowRunFilter,
    PoolFilters,
    QueueFilters,
    Texts,
    WorkQueueFilter,
)
from penstock.contract.rest.states import (
    CreatedBy,
    Page,
    SetStateBody,
    SetStateDetails,
    State,
    StateCreate,
)
from penstock.contract.rest.wire import (
    MAX_PAGE,
    BulkLimit,
    DateTime,
    Document,
    IdempotencyKey,
    Int32,
    Key,
    LabelAnswer,
    Labels,
    ListBody,
    NaturalInt32,
    Offset,
    PageLimit,
    PageNumber,
    Parameters,
    Seconds,
    ShortText,
    Tags,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)


class FlowRunPolicy(WireBody):
    """Retries and pauses of a flow run. `max_retries`, `retry_delay_seconds` have no effect."""

    max_retries: Int32 = Field(default=0, json_schema_extra={"deprecated": True})
    retry_delay_seconds: float = Field(
        default=0, json_schema_extra={"deprecated": True}, allow_inf_nan=False
    )
    retries: Int32 | None = None
    #: Seconds.
    retry_delay: Int32 | None = None
    pause_keys: list[Text] | None = Field(
        default_factory=list, json_schema_extra={"uniqueItems": True}
    )
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None


_NO_POLICY = FlowRunPolicy()


def _no_policy() -> FlowRunPolicy:
    # one for all: nobody changes it, and making one costs a tenth of a create's validation
    return _NO_POLICY


class _NewFlowRun(WireModel):
    #: None or empty: the server makes a random one.
    name: ShortText | None = None
    state: StateCreate | None = None
    parameters: Parameters = Field(default_factory=dict)
    context: Document = Field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=_no_policy)
    tags: Tags = Field(default_factory=list)
    idempotency_key: IdempotencyKey | None = None
    labels: Labels | None = None
    work_queue_name: ShortText | None = None
    job_variables: Document | None = None


class FlowRunCreate(_NewFlowRun):
    """A flow run to create without a deployment."""

    flow_id: UUID
    flow_version: ShortText | None = None
    deployment_id: UUID | None = Field(default=None, json_schema_extra={"deprecated": True})
    work_pool_name: ShortText | None = None


class DeploymentFlowRunCreate(_NewFlowRun):
    """A flow run to create from a deployment; what is absent comes from the deployment."""

    enforce_parameter_schema: bool | None = None


class FlowRunUpdate(WireModel):
    """The changes of a flow run; only fields that were sent count."""

    name: ShortText | None = None
    flow_version: ShortText | None = None
    parameters: Parameters = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=_no_policy)
    tags: Tags = Field(default_factory=list)
    infrastructure_pid: ShortText | None = None
    job_variables: Document | None = None


class FlowRun(WireAnswer):
    """A flow run."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str = Field(default_factory=str)
    flow_id: UUID
    state_id: UUID | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=_no_policy)
    tags: list[str] = Field(default_factory=list)
    labels: LabelAnswer | None = None
    parent_task_run_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    auto_scheduled: bool = False
    infrastructure_document_id: UUID | None = None
    infrastructure_pid: str | None = None
    created_by: CreatedBy | None = None
    state: State | None = None
    job_variables: dict[str, Any] | None = None


class FlowRunResponse(FlowRun):
    """A flow run with the names of its pool and queue."""

    labels: LabelAnswer = Field(default_factory=dict)
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None


class FlowRunPaginationResponse(Page):
    """One page of flow runs."""

    results: list[FlowRunResponse]


class FlowRunCreateResult(WireAnswer):
    """What became of one entry of a bulk creation."""

    flow_run_id: UUID | None = None
    status: Literal["CREATED", "FAILED"]
    error: str | None = None


class FlowRunBulkCreateResponse(WireAnswer):
    """One result per entry, in the order of the request."""

    results: list[FlowRunCreateResult] = Field(default_factory=list)


class FlowRunBulkDeleteResponse(WireAnswer):
    """Ids of the flow runs that are gone."""

    deleted: list[UUID] = Field(default_factory=list)


class FlowRunOrchestrationResult(WireAnswer):
    """The answer to one run's proposal within a bulk change of state."""

    flow_run_id: UUID
    status: SetStateStatus
    state: State | None = None
    details: SetStateDetails


class FlowRunBulkSetStateResponse(WireAnswer):
    """One answer per run."""

    results: list[FlowRunOrchestrationResult] = Field(default_factory=list)


class FlowRunInput(WireAnswer):
    """A value sent to a flow run, such as the answer it waits for while paused."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    flow_run_id: UUID
    key: str
    value: str
    sender: str | None = None


class FlowRunsCountBody(QueueFilters):
    """Body of `POST /flow_runs/count`."""


class FlowRunsLatenessBody(QueueFilters):
    """Body of `POST /flow_runs/lateness`."""


class FlowRunsFilterBody(QueueFilters):
    """Body of `POST /flow_runs/filter`."""

    sort: FlowRunSort = FlowRunSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class FlowRunsPaginateBody(QueueFilters):
    """Body of `POST /flow_runs/paginate`."""

    sort: FlowRunSort = FlowRunSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    page: PageNumber = 1


class FlowRunHistoryBody(PoolFilters):
    """Body of `POST /flow_runs/history`."""

    history_start: DateTime
    history_end: DateTime
    history_interval_seconds: Seconds
    work_queues: WorkQueueFilter | None = None


class FlowRunsBulkDeleteBody(WireModel):
    """Body of `POST /flow_runs/bulk_delete`. A misspelt filter must not delete anything else."""

    flow_runs: FlowRunFilter | None = None
    limit: BulkLimit = 50


class FlowRunsBulkSetStateBody(WireModel):
    """Body of `POST /flow_runs/bulk_set_state`."""

    flow_runs: FlowRunFilter | None = None
    state: StateCreate
    force: bool = False
    limit: BulkLimit = 50


class FlowRunSetStateBody(SetStateBody):
    """Body of `POST /flow_runs/{id}/set_state`."""


class FlowRunResumeBody(WireBody):
    """Body of `POST /flow_runs/{id}/resume`."""

    run_input: Document | None = None


class FlowRunInputCreateBody(WireBody):
    """Body of `POST /flow_runs/{id}/input`."""

    key: Key
    value: Text
    sender: Text | None = None


class FlowRunInputFilterBody(ListBody):
    """Body of `POST /flow_runs/{id}/input/filter`."""

    prefix: Text
    limit: NaturalInt32 = 1
    exclude_keys: Texts = []
