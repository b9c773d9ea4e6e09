"""An open database of either kind."""

from collections.abc import AsyncIterator

import pytest

from penstock.store.database import Database


@pytest.fixture
async def db(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    """A fresh database, opened; the test runs on each kind."""
    database = await Database.open(database_url)
    yield database
    await database.close()
