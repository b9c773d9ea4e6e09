"""Filters: which rows a list, a count or a bulk operation is about.

A criterion that is null or absent holds for every row. The classes at the top are the recurring
kinds of criteria; the contract gives each use of them a name of its own.
"""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from penstock.contract.enums import Operator, StateType, WorkerStatus
from penstock.contract.rest.wire import (
    DateTime,
    Int32,
    ListBody,
    Text,
    WireModel,
)

#: Databases bound the parameters of one statement.
MAX_ENTRIES = 10_000

Ids = Annotated[list[UUID], Field(max_length=MAX_ENTRIES)]
Texts = Annotated[list[Text], Field(max_length=MAX_ENTRIES)]


class _Joined(WireModel):
    operator: Operator = Operator.and_


class _AnyId(WireModel):
    any_: Ids | None = None


class _AnyIdOrNot(_AnyId):
    not_any_: Ids | None = None


class _AnyIdOrNull(_Joined):
    any_: Ids | None = None
    is_null_: bool | None = None


class _AnyText(WireModel):
    any_: Texts | None = None


class _AnyTextOrNot(_AnyText):
    not_any_: Texts | None = None


class _AnyTextOrLike(_AnyText):
    like_: Text | None = None


class _AllTags(_Joined):
    all_: Texts | None = None
    is_null_: bool | None = None


class _Between(WireModel):
    before_: DateTime | None = None
    after_: DateTime | None = None


class _BetweenOrNull(_Between):
    is_null_: bool | None = None


class _AnyStateType(WireModel):
    any_: list[StateType] | None = None


# -- flows ---------------------------------------------------------------------------------------


class FlowFilterId(_AnyIdOrNot):
    """Flows with (or without) one of these ids."""


class FlowFilterName(_AnyTextOrLike):
    """Flows by name, or by a part of it."""


class FlowFilterTags(_AllTags):
    """Flows that have all these tags, or none at all."""


class FlowFilterDeployment(_Joined):
    """Flows with or without deployments."""

    is_null_: bool | None = None


class FlowFilter(_Joined):
    """Which flows."""

    id: FlowFilterId | None = None
    deployment: FlowFilterDeployment | None = None
    name: FlowFilterName | None = None
    tags: FlowFilterTags | None = None


# -- flow runs -----------------------------------------------------------------------------------


class FlowRunFilterId(_AnyIdOrNot):
    """Flow runs with (or without) one of these ids."""


class FlowRunFilterName(_AnyTextOrLike):
    """Flow runs by name, or by a part of it."""


class FlowRunFilterTags(_AllTags):
    """Flow runs that have all these tags, any of them, or none at all."""

    any_: Texts | None = None


class FlowRunFilterDeploymentId(_AnyIdOrNull):
    """Flow runs of these deployments, or of none."""


class FlowRunFilterWorkQueueName(_Joined):
    """Flow runs in queues of these names, or in none."""

    any_: Texts | None = None
    is_null_: bool | None = None


class FlowRunFilterStateType(_AnyStateType):
    """Flow runs in a state of (or not of) one of these types."""

    not_any_: list[StateType] | None = None


class FlowRunFilterStateName(_AnyTextOrNot):
    """Flow runs in a state of (or not of) one of these names."""


class FlowRunFilterState(_Joined):
    """Flow runs by type and name of their state."""

    type: FlowRunFilterStateType | None = None
    name: FlowRunFilterStateName | None = None


class FlowRunFilterFlowVersion(_AnyText):
    """Flow runs of these versions of a flow."""


class FlowRunFilterStartTime(_BetweenOrNull):
    """Flow runs by the time they started."""


class FlowRunFilterEndTime(_BetweenOrNull):
    """Flow runs by the time they ended."""


class FlowRunFilterExpectedStartTime(_Between):
    """Flow runs by the time they were to start."""


class FlowRunFilterNextScheduledStartTime(_Between):
    """Flow runs by the time they are to start next."""


class FlowRunFilterParentFlowRunId(_Joined):
    """Subflow runs of these flow runs."""

    any_: Ids | None = None


class FlowRunFilterParentTaskRunId(_AnyIdOrNull):
    """Subflow runs of these task runs, or runs that are none."""


class FlowRunFilterIdempotencyKey(_AnyTextOrNot):
    """Flow runs created with (or without) one of these keys."""


class FlowRunFilterCreatedBy(_Joined):
    """Flow runs by who made them."""

    id_: Ids | None = None
    type_: Texts | None = None
    is_null_: bool | None = None


class FlowRunFilter(_Joined):
    """Which flow runs."""

    id: FlowRunFilterId | None = None
    name: FlowRunFilterName | None = None
    tags: FlowRunFilterTags | None = None
    deployment_id: FlowRunFilterDeploymentId | None = None
    work_queue_name: FlowRunFilterWorkQueueName | None = None
    state: FlowRunFilterState | None = None
    flow_version: FlowRunFilterFlowVersion | None = None
    start_time: FlowRunFilterStartTime | None = None
    end_time: FlowRunFilterEndTime | None = None
    expected_start_time: FlowRunFilterExpectedStartTime | None = None
    next_scheduled_start_time: FlowRunFilterNextScheduledStartTime | None = None
    parent_flow_run_id: FlowRunFilterParentFlowRunId | None = None
    parent_task_run_id: FlowRunFilterParentTaskRunId | None = None
    idempotency_key: FlowRunFilterIdempotencyKey | None = None
    created_by: FlowRunFilterCreatedBy | None = None


# -- task runs -----------------------------------------------------------------------------------


class TaskRunFilterFlowRunId(_AnyIdOrNull):
    """Task runs of these flow runs, or of none."""

    is_null_: bool | None = False


class TaskRunFilterId(_AnyId):
    """Task runs with one of these ids."""


class TaskRunFilterName(_AnyTextOrLike):
    """Task runs by name, or by a part of it."""


class TaskRunFilterTags(_AllTags):
    """Task runs that have all these tags, or none at all."""


class TaskRunFilterStateType(_AnyStateType):
    """Task runs in a state of one of these types."""


class TaskRunFilterStateName(_AnyText):
    """Task runs in a state of one of these names."""


class TaskRunFilterState(_Joined):
    """Task runs by type and name of their state."""

    type: TaskRunFilterStateType | None = None
    name: TaskRunFilterStateName | None = None


class TaskRunFilterSubFlowRuns(WireModel):
    """Task runs that are (or are not) the parent of a subflow run."""

    exists_: bool | None = None


class TaskRunFilterStartTime(_BetweenOrNull):
    """Task runs by the time they started."""


class TaskRunFilterEndTime(_BetweenOrNull):
    """Task runs by the time they ended."""


class TaskRunFilterExpectedStartTime(_Between):
    """Task runs by the time they were to start."""


class TaskRunFilter(_Joined):
    """Which task runs."""

    id: TaskRunFilterId | None = None
    name: TaskRunFilterName | None = None
    tags: TaskRunFilterTags | None = None
    state: TaskRunFilterState | None = None
    start_time: TaskRunFilterStartTime | None = None
    end_time: TaskRunFilterEndTime | None = None
    expected_start_time: TaskRunFilterExpectedStartTime | None = None
    subflow_runs: TaskRunFilterSubFlowRuns | None = None
    flow_run_id: TaskRunFilterFlowRunId | None = None


# -- deployments ---------------------------------------------------------------------------------


class DeploymentFilterId(_AnyIdOrNot):
    """Deployments with (or without) one of these ids."""


class DeploymentFilterName(_AnyTextOrLike):
    """Deployments by name, or by a part of it."""


class DeploymentOrFlowNameFilter(WireModel):
    """Deployments by a part of their own or their flow's name."""

    like_: Text | None = None


class DeploymentFilterPaused(WireModel):
    """Deployments that are (or are not) paused."""

    eq_: bool | None = None


class DeploymentFilterWorkQueueName(_AnyText):
    """Deployments on queues of these names."""


class DeploymentFilterConcurrencyLimit(WireModel):
    """Deployments by their concurrency limit; the contract calls it deprecated."""

    ge_: Int32 | None = None
    le_: Int32 | None = None
    is_null_: bool | None = None


class DeploymentFilterTags(_AllTags):
    """Deployments that have all these tags, any of them, or none at all."""

    any_: Texts | None = None


class DeploymentFilter(_Joined):
    """Which deployments."""

    id: DeploymentFilterId | None = None
    name: DeploymentFilterName | None = None
    flow_or_deployment_name: DeploymentOrFlowNameFilter | None = None
    paused: DeploymentFilterPaused | None = None
    tags: DeploymentFilterTags | None = None
    work_queue_name: DeploymentFilterWorkQueueName | None = None
    concurrency_limit: DeploymentFilterConcurrencyLimit | None = Field(
        default=None, json_schema_extra={"deprecated": True}
    )


# -- work pools, queues, workers -----------------------------------------------------------------


class WorkPoolFilterId(_AnyId):
    """Work pools with one of these ids."""


class WorkPoolFilterName(_AnyText):
    """Work pools of these names."""


class WorkPoolFilterType(_AnyText):
    """Work pools of these types."""


class WorkPoolFilter(_Joined):
    """Which work pools."""

    id: WorkPoolFilterId | None = None
    name: WorkPoolFilterName | None = None
    type: WorkPoolFilterType | None = None


class WorkQueueFilterId(_AnyId):
    """Work queues with one of these ids."""


class WorkQueueFilterName(_AnyText):
    """Work queues of these names, or whose names start so."""

    startswith_: Texts | None = None


class WorkQueueFilter(_Joined):
    """Which work queues."""

    id: WorkQueueFilterId | None = None
    name: WorkQueueFilterName | None = None


class WorkerFilterLastHeartbeatTime(_Between):
    """Workers by the time of their last heartbeat."""


class WorkerFilterStatus(WireModel):
    """Workers that are (or are not) in one of these statuses."""

    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None


class WorkerFilter(_Joined):
    """Which workers."""

    last_heartbeat_time: WorkerFilterLastHeartbeatTime | None = None
    status: WorkerFilterStatus | None = None


# -- variables, artifacts ------------------------------------------------------------------------


class VariableFilterId(_AnyId):
    """Variables with one of these ids."""


class VariableFilterName(_AnyTextOrLike):
    """Variables by name, or by a part of it."""


class VariableFilterTags(_AllTags):
    """Variables that have all these tags, or none at all."""


class VariableFilter(_Joined):
    """Which variables."""

    id: VariableFilterId | None = None
    name: VariableFilterName | None = None
    tags: VariableFilterTags | None = None


class ArtifactFilterId(_AnyId):
    """Artifacts with one of these ids."""


class ArtifactFilterKey(_AnyTextOrLike):
    """Artifacts by key, by a part of it, or by whether they have one."""

    exists_: bool | None = None


class ArtifactFilterFlowRunId(_AnyId):
    """Artifacts of these flow runs."""


class ArtifactFilterTaskRunId(_AnyId):
    """Artifacts of these task runs."""


class ArtifactFilterType(_AnyTextOrNot):
    """Artifacts of these types, or of others."""


class ArtifactFilter(_Joined):
    """Which artifacts."""

    id: ArtifactFilterId | None = None
    key: ArtifactFilterKey | None = None
    flow_run_id: ArtifactFilterFlowRunId | None = None
    task_run_id: ArtifactFilterTaskRunId | None = None
    type: ArtifactFilterType | None = None


class ArtifactCollectionFilterLatestId(_AnyId):
    """Keys whose newest artifact is one of these."""


class ArtifactCollectionFilterKey(ArtifactFilterKey):
    """Keys by themselves, or by a part of them."""


class ArtifactCollectionFilterFlowRunId(_AnyId):
    """Keys whose newest artifact is of these flow runs."""


class ArtifactCollectionFilterTaskRunId(_AnyId):
    """Keys whose newest artifact is of these task runs."""


class ArtifactCollectionFilterType(_AnyTextOrNot):
    """Keys whose newest artifact is of these types, or of others."""


class ArtifactCollectionFilter(_Joined):
    """Which keys, by their newest artifacts."""

    latest_id: ArtifactCollectionFilterLatestId | None = None
    key: ArtifactCollectionFilterKey | None = None
    flow_run_id: ArtifactCollectionFilterFlowRunId | None = None
    task_run_id: ArtifactCollectionFilterTaskRunId | None = None
    type: ArtifactCollectionFilterType | None = None


# -- bodies --------------------------------------------------------------------------------------


class RunFilters(ListBody):
    """Criteria of a list: rows that have to do with these flows, runs and deployments."""

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None


class PoolFilters(RunFilters):
    """The same, and with these work pools."""

    work_pools: WorkPoolFilter | None = None


class QueueFilters(PoolFilters):
    """The same, and with these work queues."""

    work_pool_queues: WorkQueueFilter | None = None
