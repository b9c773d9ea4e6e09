"""Answers that hold one page of a list."""

from typing import Any


def offset_of(page: int, limit: int) -> int:
    """How many rows stand before a page; pages count from 1."""
    return (page - 1) * limit


def page_shape(results: list[Any], count: int, limit: int, page: int) -> dict[str, Any]:
    """One page of a list that has `count` rows in all."""
    pages = -(-count // limit) if limit else 0
    return {"results": results, "count": count, "limit": limit, "pages": pages, "page": page}
