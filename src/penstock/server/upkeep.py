"""What an operator does to a database from the command line, beside or without a server."""

import secrets
from datetime import datetime
from functools import partial

from penstock.api.gate import hash_key
from penstock.core.errors import Conflict, PenstockServerError
from penstock.store.api_keys import insert_api_key
from penstock.store.database import sqlite_path
from penstock.store.engines.sqlite import FileIsHeld, FileLock
from penstock.store.migrations import HEAD, SchemaIsOld, upgrade_postgres, upgrade_sqlite
from penstock.store.visits import visit

#: errors whose message is for the operator
EXPECTED_ERRORS = (PenstockServerError, FileIsHeld, SchemaIsOld, ValueError, OSError)


def upgrade_database(url: str) -> str:
    """Bring the schema up to date; the revision it now has. FileIsHeld while a server has it."""
    path = sqlite_path(url)
    if path is None:
        upgrade_postgres(url, explicitly=True)
        return HEAD
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        upgrade_sqlite(path)
    finally:
        lock.release()
    return HEAD


def create_key(url: str, name: str, now: datetime) -> str:
    """A new API key, which nobody can read again: only its hash is stored.

    Conflict when another key has the name.
    """
    key = f"pk_{secrets.token_urlsafe(32)}"
    try:
        visit(url, partial(insert_api_key, name=name, key_hash=hash_key(key), now=now))
    except Conflict:
        raise Conflict(f"There is a key named {name!r} already; choose another name") from None
    return key
