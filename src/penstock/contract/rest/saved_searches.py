"""Saved searches: wire shapes of `/saved_searches`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from penstock.contract.rest.wire import (
    MAX_PAGE,
    Json,
    ListBody,
    Offset,
    PageLimit,
    ShortText,
    WireAnswer,
    WireBody,
    WireModel,
)

MAX_FILTERS = 500


class SavedSearchFilter(WireBody):
    """One criterion of a saved search, for the page that shows it; the server keeps it only."""

    object: str
    property: str
    type: str
    operation: str
    value: Json


class SavedSearchCreate(WireModel):
    """A saved search, new or in place of the one of this name."""

    name: ShortText
    filters: Annotated[list[SavedSearchFilter], Field(max_length=MAX_FILTERS)] = Field(
        default_factory=list
    )


class SavedSearch(WireAnswer):
    """A saved search."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    filters: list[SavedSearchFilter] = Field(default_factory=list)


class SavedSearchesFilterBody(ListBody):
    """Body of `POST /saved_searches/filter`."""

    limit: PageLimit = MAX_PAGE
    offset: Offset = 0
