"""Task runs: wire shapes of `/task_runs`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from penstock.contract.enums import StateType, TaskRunSort
from penstock.contract.rest.filters import RunFilters
from penstock.contract.rest.states import Page, SetStateBody, State, StateCreate
from penstock.contract.rest.wire import (
    MAX_PAGE,
    NO_NUL,
    DateTime,
    Int32,
    LabelAnswer,
    Labels,
    Offset,
    PageLimit,
    PageNumber,
    Seconds,
    ShortText,
    Tags,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)

#: Task key and dynamic key stand in one unique index, whose rows PostgreSQL bounds.
TaskKey = Annotated[str, StringConstraints(pattern=NO_NUL, max_length=300)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class TaskRunResult(WireBody):
    """An input that is the result of a task run."""

    input_type: Literal["task_run"] = "task_run"
    id: UUID


class FlowRunResult(WireBody):
    """An input that is the result of a flow run."""

    input_type: Literal["flow_run"] = "flow_run"
    id: UUID


class Parameter(WireBody):
    """An input that is a parameter of the flow run."""

    input_type: Literal["parameter"] = "parameter"
    name: Text


class Constant(WireBody):
    """An input that is a plain value; only its type is told."""

    input_type: Literal["constant"] = "constant"
    type: Text


TaskInputs = dict[Text, list[TaskRunResult | FlowRunResult | Parameter | Constant]]


class TaskRunPolicy(WireBody):
    """Retries of a task run. `max_retries` and `retry_delay_seconds` have no effect."""

    max_retries: Int32 = Field(default=0, json_schema_extra={"deprecated": True})
    retry_delay_seconds: FiniteFloat = Field(default=0, json_schema_extra={"deprecated": True})
    retries: Int32 | None = None
    #: Seconds, or seconds before the first, second, ... retry.
    retry_delay: Int32 | FiniteFloat | list[Int32] | list[FiniteFloat] | None = None
    retry_jitter_factor: FiniteFloat | None = None


class TaskRunCreate(WireModel):
    """A task run to create: the parent of a subflow, or one that runs in the background."""

    id: UUID | None = None
    state: StateCreate | None = None
    name: ShortText | None = None
    flow_run_id: UUID | None = None
    task_key: TaskKey
    dynamic_key: TaskKey
    cache_key: Text | None = None
    cache_expiration: DateTime | None = None
    task_version: ShortText | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: Tags = Field(default_factory=list)
    task_inputs: TaskInputs = Field(default_factory=dict)
    labels: Labels | None = None


class TaskRunUpdate(WireModel):
    """The changes of a task run; only fields that were sent count."""

    name: ShortText | None = None


class _TaskRunCore(WireAnswer):
    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str = Field(default_factory=str)
    flow_run_id: UUID | None = None
    task_key: str
    state_id: UUID | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    task_inputs: TaskInputs = Field(default_factory=dict)
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    state: State | None = None


class TaskRun(_TaskRunCore):
    """A task run."""

    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    labels: LabelAnswer | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    #: The flow run's run count when this task run last started.
    flow_run_run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None


class TaskRunResponse(_TaskRunCore):
    """A task run as `POST /task_runs/paginate` answers it."""


class TaskRunPaginationResponse(Page):
    """One page of task runs."""

    results: list[TaskRunResponse]


class TaskRunsCountBody(RunFilters):
    """Body of `POST /task_runs/count`."""


class TaskRunsFilterBody(RunFilters):
    """Body of `POST /task_runs/filter`."""

    sort: TaskRunSort = TaskRunSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class TaskRunsPaginateBody(RunFilters):
    """Body of `POST /task_runs/paginate`."""

    sort: TaskRunSort = TaskRunSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    page: PageNumber = 1


class TaskRunHistoryBody(RunFilters):
    """Body of `POST /task_runs/history`."""

    history_start: DateTime
    history_end: DateTime
    history_interval_seconds: Seconds


class TaskRunSetStateBody(SetStateBody):
    """Body of `POST /task_runs/{id}/set_state`."""
