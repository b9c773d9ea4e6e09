"""API keys: only their hashes are stored."""

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from penstock.core.ids import new_id
from penstock.store.statements import Statement
from penstock.store.tables import WORKSPACE, api_key
from penstock.store.transaction import Transaction

_INSERT = Statement(
    insert(api_key).values({c.name: bindparam(c.name, type_=c.type) for c in api_key.c})
)
_SELECT = Statement(select(api_key.c.id).where(api_key.c.key_hash == bindparam("key_hash")))

_LIST = Statement(select(api_key.c.name, api_key.c.created).order_by(api_key.c.name))
_DELETE = Statement(
    delete(api_key).where(api_key.c.name == bindparam("key_name")).returning(api_key.c.id)
)


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


def select_api_keys(tx: Transaction) -> list[tuple[str, datetime]]:
    """The name of each key and when it was made, by name."""
    return [(row.name, row.created) for row in tx.rows(_LIST)]


def delete_api_key(tx: Transaction, name: str) -> bool:
    """Let the bearer of a key in no more; False when no key has the name."""
    return bool(tx.rows(_DELETE, key_name=name))
