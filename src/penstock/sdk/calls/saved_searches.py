"""Saved searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.sdk.calls.answers import Fields, Id, given, many, nothing, one
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.saved_searches import SavedSearch

SAVED_SEARCH = ("saved_searches", "SavedSearch")


def create_saved_search(*, name: str, filters: Sequence[Fields] | None = None) -> Call[SavedSearch]:
    """Keeps the search, in place of the one of this name when there is one."""
    return Call("PUT", "/saved_searches/", one(*SAVED_SEARCH), given(name=name, filters=filters))


def read_saved_search(saved_search_id: Id) -> Call[SavedSearch]:
    """The search with this id."""
    return Call("GET", f"/saved_searches/{saved_search_id}", one(*SAVED_SEARCH))


def read_saved_searches(
    *, limit: int | None = None, offset: int | None = None
) -> Call[list[SavedSearch]]:
    """The searches, by name."""
    body = given(limit=limit, offset=offset)
    return Call("POST", "/saved_searches/filter", many(*SAVED_SEARCH), body)


def delete_saved_search(saved_search_id: Id) -> Call[None]:
    """Deletes the search."""
    return Call("DELETE", f"/saved_searches/{saved_search_id}", nothing)
