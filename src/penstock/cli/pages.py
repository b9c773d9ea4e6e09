"""Reading more rows than one answer of the server holds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")

#: The most rows that the contract gives at once.
PAGE_SIZE = 200


def read_pages(read: Callable[[int, int], Sequence[Row]], limit: int) -> list[Row]:
    """Up to `limit` rows; `read` gets the size and the offset of each page."""
    rows: list[Row] = []
    while len(rows) < limit:
        size = min(PAGE_SIZE, limit - len(rows))
        page = read(size, len(rows))
        rows.extend(page)
        if len(page) < size:
            break
    return rows
