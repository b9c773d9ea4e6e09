"""Task workers: wire shapes of `/task_workers`."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from penstock.contract.rest.wire import (
    ListBody,
    Text,
    WireAnswer,
    WireModel,
)


class TaskWorkerFilter(WireModel):
    """Task workers that serve any of these tasks."""

    task_keys: Annotated[list[Text], Field(max_length=1000)]


class TaskWorkersFilterBody(ListBody):
    """Body of `POST /task_workers/filter`."""

    task_worker_filter: TaskWorkerFilter | None = None


class TaskWorkerResponse(WireAnswer):
    """A task worker that is connected."""

    identifier: str
    task_keys: list[str]
    #: When it was last heard of.
    timestamp: datetime
