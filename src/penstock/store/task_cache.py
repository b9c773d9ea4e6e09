"""Completed states of task runs by cache key: which one makes another run needless."""

from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, or_, select

from penstock.core.ids import new_id
from penstock.store.bulk_rows import insert_rows
from penstock.store.statements import Row, Statement
from penstock.store.tables import state, task_cache
from penstock.store.transaction import Transaction

_ENTRY = task_cache.c
_KEY = bindparam("cache_key", type_=_ENTRY.cache_key.type)
_NOW = bindparam("now", type_=_ENTRY.expires_at.type)
_UNTIL = bindparam("until", type_=_ENTRY.expires_at.type)
_SELECT = Statement(
    select(state)
    .select_from(task_cache)
    .join(state, and_(state.c.run_id == _ENTRY.run_id, state.c.id == _ENTRY.state_id))
    .where(_ENTRY.cache_key == _KEY, or_(_ENTRY.expires_at.is_(None), _ENTRY.expires_at > _NOW))
    .order_by(_ENTRY.created.desc(), _ENTRY.id.desc())
    .limit(1)
)
# An older entry that ends before the new one is never looked at again.
_DELETE_ALL = Statement(delete(task_cache).where(_ENTRY.cache_key == _KEY))
_DELETE_SHORTER = Statement(
    delete(task_cache).where(_ENTRY.cache_key == _KEY, _ENTRY.expires_at <= _UNTIL)
)


def _indexed(key: str) -> str:
    """Keys may have 8,000 bytes; PostgreSQL bounds what stands in an index to a third of that."""
    return sha256(key.encode(errors="surrogatepass")).hexdigest()


def select_cached_state(tx: Transaction, cache_key: str, now: datetime) -> Row | None:
    """The newest completed state of that key that has not expired; None when there is none."""
    return tx.row(_SELECT, cache_key=_indexed(cache_key), now=now)


def insert_cached_state(
    tx: Transaction,
    cache_key: str,
    expires_at: datetime | None,
    run_id: UUID,
    state_id: UUID,
    now: datetime,
) -> None:
    """Have a state found by its cache key until it expires, or for ever."""
    key = _indexed(cache_key)
    if expires_at is None:
        tx.run(_DELETE_ALL, cache_key=key)
    else:
        tx.run(_DELETE_SHORTER, cache_key=key, until=expires_at)
    insert_rows(tx, task_cache, [(new_id(now), now, key, expires_at, run_id, state_id)])
