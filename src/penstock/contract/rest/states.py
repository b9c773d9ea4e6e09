"""States, the proposal of a state, and the server's answer to it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from penstock.contract.enums import SetStateStatus, StateType
from penstock.contract.rest.wire import (
    DateTime,
    Json,
    Message,
    ShortText,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)


class StateDetails(WireBody):
    """What the rules and the engine note down beside a state."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: DateTime | None = None
    cache_key: Text | None = None
    cache_expiration: DateTime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: DateTime | None = None
    pause_reschedule: bool = False
    pause_key: Text | None = None
    run_input_keyset: dict[Text, Text] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    #: The same proposal sent twice carries the same id.
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: Text | None = None
    deployment_concurrency_lease_id: UUID | None = None


class StateCreate(WireModel):
    """A proposed state. The server makes its id and timestamp."""

    type: StateType
    name: ShortText | None = None
    message: Message | None = None
    data: Json | None = None
    state_details: StateDetails = Field(default_factory=StateDetails)


class State(WireAnswer):
    """One state of a run's history."""

    id: UUID
    type: StateType
    name: str | None = None
    timestamp: datetime | SkipJsonSchema[None] = None
    message: str | None = None
    data: Any | None = None
    state_details: StateDetails = Field(default_factory=StateDetails)


class SetStateBody(WireBody):
    """Body of `set_state` of a flow run or a task run."""

    state: StateCreate
    #: Skip the rules that may answer anything but ACCEPT.
    force: bool = False


class StateAcceptDetails(WireAnswer):
    """The proposed state was written."""

    type: Literal["accept_details"] = "accept_details"


class StateRejectDetails(WireAnswer):
    """Another state holds instead of the proposed one."""

    type: Literal["reject_details"] = "reject_details"
    reason: str | None = None


class StateAbortDetails(WireAnswer):
    """The proposal is refused; its sender stops."""

    type: Literal["abort_details"] = "abort_details"
    reason: str | None = None


class StateWaitDetails(WireAnswer):
    """Propose again after some seconds."""

    type: Literal["wait_details"] = "wait_details"
    delay_seconds: int
    reason: str | None = None


SetStateDetails = Annotated[
    StateAcceptDetails | StateWaitDetails | StateRejectDetails | StateAbortDetails,
    Field(discriminator="type"),
]


class OrchestrationResult(WireAnswer):
    """The server's answer to a proposed state."""

    state: State | None
    status: SetStateStatus
    details: SetStateDetails


class HistoryResponseState(WireAnswer):
    """How many runs of one interval are in one state."""

    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


class HistoryResponse(WireAnswer):
    """The states of the runs of one interval."""

    interval_start: datetime
    interval_end: datetime
    states: list[HistoryResponseState]


class CreatedBy(WireAnswer):
    """Who made something: a schedule, an automation, a user."""

    id: UUID | None = None
    type: str | None = None
    display_value: str | None = None


class UpdatedBy(CreatedBy):
    """Who changed something last."""


class Page(WireAnswer):
    """Where a page of a list stands."""

    count: int
    limit: int
    pages: int
    page: int
