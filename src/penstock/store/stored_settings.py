"""Statements of settings that the database holds: a document by key."""

from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql

from penstock.core import documents
from penstock.store.statements import Statement
from penstock.store.tables import setting
from penstock.store.transaction import Transaction

_KEY = setting.c.key == bindparam("key")
_SELECT = Statement(select(setting.c.value).where(_KEY))
_INSERT = postgresql.insert(setting).values(key=bindparam("key"), value=bindparam("value"))
_INSERT_MISSING = Statement(_INSERT.on_conflict_do_nothing())
_UPSERT = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=[setting.c.key], set_={"value": _INSERT.excluded.value}
    )
)
_DELETE = Statement(delete(setting).where(_KEY))


def select_setting(tx: Transaction, key: str) -> Any:
    """The setting's value; None when there is none."""
    text = tx.value(_SELECT, key=key)
    return None if text is None else documents.load(text)


def insert_setting(tx: Transaction, key: str, value: Any) -> None:
    """Store a setting unless it is there."""
    tx.run(_INSERT_MISSING, key=key, value=documents.dump(value))


def upsert_setting(tx: Transaction, key: str, value: Any) -> None:
    """Store a setting, whether or not it is there."""
    tx.run(_UPSERT, key=key, value=documents.dump(value))


def delete_setting(tx: Transaction, key: str) -> None:
    """Forget a setting."""
    tx.run(_DELETE, key=key)
