"""Leases: which of several servers runs a background loop."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import bindparam, or_, update
from sqlalchemy.dialects import postgresql

from penstock.store.statements import Statement
from penstock.store.tables import lease
from penstock.store.transaction import Transaction

_INSERT = Statement(
    postgresql.insert(lease)
    .values(
        name=bindparam("name"),
        holder=bindparam("holder", type_=lease.c.holder.type),
        expires_at=bindparam("now", type_=lease.c.expires_at.type),
    )
    .on_conflict_do_nothing()
)
#: long over, whatever the clocks of the servers say
_OVER = datetime(1970, 1, 1, tzinfo=UTC)
# The rows stay: a server makes them when it starts, and afterwards only looks for them.
_RELEASE = Statement(
    update(lease)
    .where(lease.c.holder == bindparam("holder", type_=lease.c.holder.type))
    .values(expires_at=bindparam("over", type_=lease.c.expires_at.type))
)


def insert_leases(tx: Transaction, names: list[str], holder: UUID, now: datetime) -> None:
    """Make the rows that servers compete for."""
    tx.run_many(_INSERT, [{"name": n, "holder": holder, "now": now} for n in sorted(names)])


def claim_leases(
    tx: Transaction, names: list[str], holder: UUID, now: datetime, until: datetime
) -> set[str]:
    """Renew the leases this server holds and take those that have run out; the names it has now."""
    change = (
        update(lease)
        .where(lease.c.name.in_(names), or_(lease.c.holder == holder, lease.c.expires_at <= now))
        .values(holder=holder, expires_at=until)
        .returning(lease.c.name)
    )
    return {r.name for r in tx.rows(change)}


def release_leases(tx: Transaction, holder: UUID) -> None:
    """Let other servers have this server's leases at once."""
    tx.run(_RELEASE, holder=holder, over=_OVER)
