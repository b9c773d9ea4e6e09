"""What an operator does to a database from the command line, beside or without a server."""

import os
import secrets
from datetime import datetime
from functools import partial
from uuid import UUID

from penstock.api.gate import hash_key
from penstock.core.errors import Conflict, NotFound, PenstockServerError
from penstock.server.settings import home
from penstock.store.api_keys import delete_api_key, insert_api_key, select_api_keys
from penstock.store.block_documents import reencrypt_block_documents
from penstock.store.database import sqlite_path
from penstock.store.engines.sqlite import FileIsHeld, FileLock
from penstock.store.migrations import HEAD, SchemaIsOld, upgrade_postgres, upgrade_sqlite
from penstock.store.secrets import Secrets
from penstock.store.visits import visit

#: documents that are encrypted anew in one transaction
CHUNK = 200

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


def read_keys(url: str) -> list[tuple[str, datetime]]:
    """The name of each API key and when it was made, by name."""
    return visit(url, select_api_keys)


def delete_key(url: str, name: str) -> None:
    """Refuse the bearer of a key from the next request on. NotFound when no key has the name."""
    if not visit(url, partial(delete_api_key, name=name)):
        raise NotFound(f"There is no key named {name!r}; see: penstock server key ls")


def reencrypt_secrets(url: str) -> int:
    """Encrypt all secrets with the first key of PENSTOCK_SECRET_KEY; how many there were.

    Afterwards the other keys are not needed any more. Misconfigured when one is missing now.
    """
    keys = Secrets(os.environ.get("PENSTOCK_SECRET_KEY") or None, home() / "secret.key")
    count, after = 0, UUID(int=0)
    while ids := visit(
        url, partial(reencrypt_block_documents, secrets=keys, after=after, limit=CHUNK)
    ):
        count, after = count + len(ids), ids[-1]
    visit(url, keys.claim_alone)
    return count
