"""Tokens that show that a change was not sent by a foreign web page: one per client."""

from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from penstock.store.statements import Statement
from penstock.store.tables import csrf_token
from penstock.store.transaction import Transaction

_BINDS = {c.name: bindparam(c.name, type_=c.type) for c in csrf_token.c}


def _upsert(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> Statement:
    row = insert(csrf_token).values(_BINDS)
    new = {"token": row.excluded.token, "expires_at": row.excluded.expires_at}
    return Statement(row.on_conflict_do_update(index_elements=[csrf_token.c.client], set_=new))


_UPSERT = {"sqlite": _upsert(sqlite.Insert), "postgresql": _upsert(postgresql.Insert)}
_NOW = bindparam("now", type_=csrf_token.c.expires_at.type)
_SELECT = Statement(
    select(csrf_token.c.token).where(
        csrf_token.c.client == bindparam("client"), csrf_token.c.expires_at > _NOW
    )
)
#: tokens that one unit of work forgets
CHUNK = 500
_EXPIRED = select(csrf_token.c.client).where(csrf_token.c.expires_at <= _NOW).limit(CHUNK)
_DELETE_EXPIRED = Statement(delete(csrf_token).where(csrf_token.c.client.in_(_EXPIRED)))


def upsert_csrf_token(tx: Transaction, client: str, token: str, expires_at: datetime) -> None:
    """Give the client a token; one it had before is no longer valid."""
    tx.run(_UPSERT[tx.dialect.name], client=client, token=token, expires_at=expires_at)


def select_csrf_token(tx: Transaction, client: str, now: datetime) -> str | None:
    """The client's token; None when it has none, or an expired one."""
    token: str | None = tx.value(_SELECT, client=client, now=now)
    return token


def delete_expired_csrf_tokens(tx: Transaction, now: datetime) -> int:
    """Forget up to CHUNK tokens that are no longer valid; how many."""
    return tx.run(_DELETE_EXPIRED, now=now)
