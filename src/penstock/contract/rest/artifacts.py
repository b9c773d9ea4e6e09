"""Artifacts: wire shapes of `/artifacts`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from penstock.contract.enums import ArtifactCollectionSort, ArtifactSort
from penstock.contract.rest.filters import ArtifactCollectionFilter, ArtifactFilter, RunFilters
from penstock.contract.rest.wire import (
    MAX_NAME_CHARACTERS,
    MAX_PAGE,
    Json,
    Offset,
    PageLimit,
    ShortText,
    Text,
    WireAnswer,
    WireModel,
)

#: What artifacts of one subject share; it becomes part of a path.
ArtifactKey = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9-]*$", max_length=MAX_NAME_CHARACTERS)
]
AnyData = dict[str, Any] | Any | None
_is_json: AfterValidator = Json.__metadata__[0]
Data = Annotated[AnyData, _is_json]


class ArtifactCreate(WireModel):
    """An artifact to create: what a run has to show."""

    key: ArtifactKey | None = None
    type: ShortText | None = None
    description: Text | None = None
    data: Data = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(WireModel):
    """The changes of an artifact; only fields that were sent count."""

    data: Data = None
    description: Text | None = None
    metadata_: dict[str, str] | None = None


class Artifact(WireAnswer):
    """An artifact."""

    id: UUID
    created: datetime | None = None
    updated: datetime | None = None
    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: AnyData = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactCollection(WireAnswer):
    """A key with its newest artifact."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    key: str
    latest_id: UUID
    type: str | None = None
    description: str | None = None
    data: AnyData = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactsCountBody(RunFilters):
    """Body of `POST /artifacts/count`."""

    artifacts: ArtifactFilter | None = None


class ArtifactsFilterBody(ArtifactsCountBody):
    """Body of `POST /artifacts/filter`."""

    sort: ArtifactSort = ArtifactSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class LatestArtifactsCountBody(RunFilters):
    """Body of `POST /artifacts/latest/count`."""

    artifacts: ArtifactCollectionFilter | None = None


class LatestArtifactsFilterBody(LatestArtifactsCountBody):
    """Body of `POST /artifacts/latest/filter`."""

    sort: ArtifactCollectionSort = ArtifactCollectionSort.ID_DESC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0
