"""The outbox: what has been committed and is still to be told to the rest of the world.

A unit writes its rows in its own transaction and also hands them over as effects, so that on SQLite
they are told straight from memory; the rows themselves serve after a crash, and other servers.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
)

from penstock.core import documents
from penstock.store.statements import Statement
from penstock.store.tables import outbox
from penstock.store.transaction import Transaction

#: what one query of the outbox answers at most
MAX_ROWS = 1000


@dataclass(slots=True)
class Told:
    """One thing that happened. `seq` is its place in the outbox, 0 when it is not known."""

    seq: int
    kind: str
    body: dict[str, Any]
    xid: int = 0


#: the writing transaction's number, on PostgreSQL
XID = cast(cast(func.pg_current_xact_id(), Text), BigInteger)

_INSERT_SQLITE = Statement(
    insert(outbox).values(xid=0, kind=bindparam("kind"), body=bindparam("body"))
)
_INSERT_POSTGRES = Statement(
    insert(outbox).values(xid=XID, kind=bindparam("kind"), body=bindparam("body"))
)
_SELECT = Statement(
    select(outbox.c.seq, outbox.c.xid, outbox.c.kind, outbox.c.body)
    .where(outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
    .limit(MAX_ROWS)
)
# Stops at the oldest transaction still under way: a row that commits late is never skipped.
_SELECT_SETTLED = Statement(
    select(outbox.c.seq, outbox.c.xid, outbox.c.kind, outbox.c.body)
    .where(
        tuple_(outbox.c.xid, outbox.c.seq)
        > tuple_(bindparam("after_xid", type_=BigInteger), bindparam("after", type_=BigInteger)),
        outbox.c.xid
        < cast(
            cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text),
            BigInteger,
        ),
    )
    .order_by(outbox.c.xid, outbox.c.seq)
    .limit(MAX_ROWS)
)
_UNSETTLED = Statement(
    select(outbox.c.seq)
    .where(
        outbox.c.xid
        >= cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
    )
    .limit(1)
)
_DELETE_UP_TO = Statement(delete(outbox).where(outbox.c.seq <= bindparam("seq")))
_DELETE_SETTLED = Statement(
    delete(outbox).where(
        tuple_(outbox.c.xid, outbox.c.seq)
        <= tuple_(bindparam("xid", type_=BigInteger), bindparam("seq", type_=BigInteger))
    )
)
# Below this number every transaction has ended.
_SETTLED_BELOW = Statement(
    select(
        cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger).label("xid")
    )
)
_LAST = Statement(select(func.coalesce(func.max(outbox.c.seq), literal(0))))


def tell(tx: Transaction, kind: str, body: dict[str, Any]) -> None:
    """Tell the rest of the world, once this transaction has committed."""
    text = documents.dump(body)
    if tx.is_postgres:
        tx.run(_INSERT_POSTGRES, kind=kind, body=text)
        tx.effects.append(Told(0, kind, body))
    else:
        tx.effects.append(Told(tx.insert(_INSERT_SQLITE, kind=kind, body=text), kind, body))


def tell_beside(tx: Transaction, change: str, arguments: tuple[Any, ...], told: Told) -> None:
    """Run a change, as SQL text, and tell of it by the same statement (PostgreSQL only)."""
    kind, body = len(arguments) + 1, len(arguments) + 2
    sql = (
        f"WITH change AS ({change}) INSERT INTO outbox (xid, kind, body) "
        f"VALUES (pg_current_xact_id()::text::bigint, ${kind}, ${body})"
    )
    tx.run_rows(sql, (*arguments, told.kind, documents.dump(told.body)))
    tx.effects.append(told)


def select_untold(tx: Transaction, after: int, after_xid: int = 0) -> list[Told]:
    """The next thousand rows after that place, in order, with nothing left out before them."""
    if tx.is_postgres:
        rows = tx.rows(_SELECT_SETTLED, after=after, after_xid=after_xid)
    else:
        rows = tx.rows(_SELECT, after=after)
    return [Told(r.seq, r.kind, documents.load(r.body), r.xid) for r in rows]


def is_unsettled(tx: Transaction) -> bool:
    """Whether rows wait for an older transaction to end before their turn comes (PostgreSQL)."""
    return tx.value(_UNSETTLED) is not None


def select_settled_place(tx: Transaction) -> tuple[int, int]:
    """The place, as (xid, seq), up to which the outbox is settled now (PostgreSQL only)."""
    return int(tx.value(_SETTLED_BELOW)) - 1, 2**62


def delete_settled(tx: Transaction, xid: int, seq: int) -> int:
    """Remove rows up to and including that place, which all servers have read (PostgreSQL)."""
    return tx.run(_DELETE_SETTLED, xid=xid, seq=seq)


def delete_told(tx: Transaction, up_to: int) -> int:
    """Remove what has been told, up to and including that place (SQLite: places are in order)."""
    return tx.run(_DELETE_UP_TO, seq=up_to)
