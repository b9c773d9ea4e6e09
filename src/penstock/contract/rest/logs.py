"""Logs: wire shapes of `/logs`."""

from datetime import datetime
from typing import Annotated, NotRequired
from uuid import UUID

from pydantic import ConfigDict, StringConstraints, with_config
from typing_extensions import TypedDict

from penstock.contract.enums import LogSort, Operator
from penstock.contract.rest.filters import Ids
from penstock.contract.rest.wire import (
    MAX_PAGE,
    NO_NUL,
    DateTime,
    Int32,
    ListBody,
    Offset,
    PageLimit,
    WireAnswer,
    WireModel,
)


@with_config(ConfigDict(extra="forbid"))
class LogCreate(TypedDict):
    """A line that a run logged.

    A dictionary, because lines come by the ten thousand a second and a model costs twice as much.
    NUL characters in its texts are dropped where it is stored.
    """

    name: str
    level: Int32
    message: str
    timestamp: DateTime
    flow_run_id: NotRequired[UUID | None]
    task_run_id: NotRequired[UUID | None]


class Log(WireAnswer):
    """A stored line."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogFilterLevel(WireModel):
    """Logs by severity."""

    ge_: Int32 | None = None
    le_: Int32 | None = None


class LogFilterTimestamp(WireModel):
    """Logs by time."""

    before_: DateTime | None = None
    after_: DateTime | None = None


class LogFilterFlowRunId(WireModel):
    """Logs of these flow runs."""

    any_: Ids | None = None


class LogFilterTaskRunId(WireModel):
    """Logs of these task runs, or of none."""

    any_: Ids | None = None
    is_null_: bool | None = None


class LogFilterTextSearch(WireModel):
    """Logs that contain words."""

    query: Annotated[str, StringConstraints(pattern=NO_NUL, max_length=200)]


class LogFilter(WireModel):
    """Which logs."""

    operator: Operator = Operator.and_
    level: LogFilterLevel | None = None
    timestamp: LogFilterTimestamp | None = None
    flow_run_id: LogFilterFlowRunId | None = None
    task_run_id: LogFilterTaskRunId | None = None
    text: LogFilterTextSearch | None = None


class LogsFilterBody(ListBody):
    """Body of `POST /logs/filter`."""

    logs: LogFilter | None = None
    sort: LogSort = LogSort.TIMESTAMP_ASC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0
