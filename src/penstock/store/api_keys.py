"""API keys: only their hashes are stored."""

from datetime import datetime

from sqlalchemy import bindparam, insert, select

from penstock.core.ids import new_id
from penstock.store.statements import Statement
from penstock.store.tables import WORKSPACE, api_key
from penstock.store.transaction import Transaction

_INSERT = Statement(
    insert(api_key).values({c.name: bindparam(c.name, type_=c.type) for c in api_key.c})
)
_SELECT = Statement(select(api_key.c.id).where(api_key.c.key_hash == bindparam("key_hash")))


def insert_api_key(tx: Transaction, name: str, key_hash: str, now: datetime) -> None:
    """Let the bearer of a key in. Conflict when the name is taken."""
    tx.run(
        _INSERT,
        id=new_id(now),
        workspace_id=WORKSPACE,
        created=now,
        name=name,
        key_hash=key_hash,
    )


def select_api_key_exists(tx: Transaction, key_hash: str) -> bool:
    """Whether there is a key with this hash."""
    return tx.value(_SELECT, key_hash=key_hash) is not None
