"""Whether the database answers."""

from sqlalchemy import literal, select

from penstock.store.statements import Statement
from penstock.store.transaction import Transaction

_ONE = Statement(select(literal(1).label("one")))


def select_one(tx: Transaction) -> int:
    """1, from the database."""
    one: int = tx.value(_ONE)
    return one
