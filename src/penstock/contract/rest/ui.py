"""Shapes of the routes under `/ui`, made for one page of a user interface each."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypeAliasType

from penstock.contract.enums import FlowRunSort, StateType
from penstock.contract.rest.filters import (
    PoolFilters,
    RunFilters,
    TaskRunFilter,
    WorkQueueFilter,
)
from penstock.contract.rest.task_runs import TaskRun
from penstock.contract.rest.wire import Offset, WireAnswer, WireBody

MAX_HISTORY = 1000

_UpTo200Ids = Annotated[list[UUID], Field(max_length=200)]


class UIFlowRunHistoryBody(PoolFilters):
    """Body of `POST /ui/flow_runs/history`."""

    sort: FlowRunSort = FlowRunSort.EXPECTED_START_TIME_DESC
    limit: Annotated[int, Field(ge=0, le=MAX_HISTORY)] = MAX_HISTORY
    offset: Offset = 0


class UIFlowRunIdsBody(WireBody):
    """Body of `POST /ui/flow_runs/count-task-runs`."""

    flow_run_ids: _UpTo200Ids


class UIFlowIdsBody(WireBody):
    """Body of `POST /ui/flows/count-deployments` and `POST /ui/flows/next-runs`."""

    flow_ids: _UpTo200Ids


class UITaskRunCountsBody(RunFilters):
    """Body of `POST /ui/task_runs/count`."""


class UITaskRunDashboardBody(PoolFilters):
    """Body of `POST /ui/task_runs/dashboard/counts`; it needs a start time of task runs."""

    task_runs: TaskRunFilter
    work_queues: WorkQueueFilter | None = None


class SimpleFlowRun(WireAnswer):
    """A flow run as a dot in a chart."""

    id: UUID
    state_type: StateType
    timestamp: datetime
    #: Seconds.
    duration: float
    lateness: float


class SimpleNextFlowRun(WireAnswer):
    """The next scheduled run of a flow."""

    id: UUID
    flow_id: UUID
    name: str
    state_name: str
    state_type: StateType
    next_scheduled_start_time: datetime


class CountByState(WireAnswer):
    """How many runs are in a state of each type."""

    COMPLETED: int = 0
    PENDING: int = 0
    RUNNING: int = 0
    FAILED: int = 0
    CANCELLED: int = 0
    CRASHED: int = 0
    PAUSED: int = 0
    CANCELLING: int = 0
    SCHEDULED: int = 0


#: Completed and failed task runs of one interval.
TaskRunCount = TypeAliasType("TaskRunCount", dict[str, int])


class UITaskRun(TaskRun):
    """A task run with the name of its flow run."""

    flow_run_name: str | None = None
