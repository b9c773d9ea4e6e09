"""Flows: wire shapes of `/flows`."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from penstock.contract.enums import FlowSort
from penstock.contract.rest.filters import FlowFilter, PoolFilters
from penstock.contract.rest.states import Page
from penstock.contract.rest.wire import (
    MAX_PAGE,
    BulkLimit,
    LabelAnswer,
    Labels,
    Name,
    Offset,
    PageLimit,
    PageNumber,
    Tags,
    WireAnswer,
    WireModel,
)


class FlowCreate(WireModel):
    """A flow to create, or to find by its name."""

    name: Name
    tags: Tags = Field(default_factory=list)
    labels: Labels | None = None


class FlowUpdate(WireModel):
    """The changes of a flow; only fields that were sent count."""

    tags: Tags = Field(default_factory=list)


class Flow(WireAnswer):
    """A flow."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    tags: list[str] = Field(default_factory=list)
    labels: LabelAnswer | None = None


class FlowPaginationResponse(Page):
    """One page of flows."""

    results: list[Flow]


class FlowBulkDeleteResponse(WireAnswer):
    """Ids of the flows that are gone."""

    deleted: list[UUID] = Field(default_factory=list)


class FlowsCountBody(PoolFilters):
    """Body of `POST /flows/count`."""


class FlowsFilterBody(PoolFilters):
    """Body of `POST /flows/filter`."""

    sort: FlowSort = FlowSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class FlowsPaginateBody(PoolFilters):
    """Body of `POST /flows/paginate`."""

    sort: FlowSort = FlowSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    page: PageNumber = 1


class FlowsBulkDeleteBody(WireModel):
    """Body of `POST /flows/bulk_delete`. A misspelt filter must not delete what it did not name."""

    flows: FlowFilter | None = None
    limit: BulkLimit = 50
