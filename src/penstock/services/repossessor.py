"""Takes slots back from those who have not renewed their lease in time."""

from datetime import datetime
from functools import partial
from uuid import UUID

from penstock.operations.concurrency_limits import return_slots
from penstock.store.concurrency_slots import delete_expired_lease, select_expired_leases
from penstock.store.database import Database
from penstock.store.transaction import Transaction

#: after the server was away holders get the time to renew first, as they have not heard of that;
#: clients of the contract renew their leases of five minutes after three quarters of that time
SETTLE_SECONDS = 240
#: leases per pass, and per unit of work
PASS = 1000
CHUNK = 50


async def repossess_slots(db: Database, now: datetime) -> int:
    """End the leases that have run out, their slots given back; how many."""
    expired = await db.read(partial(select_expired_leases, now=now, limit=PASS))
    ended = 0
    for start in range(0, len(expired), CHUNK):
        chunk = expired[start : start + CHUNK]
        ended += await db.write(partial(end_expired_leases, lease_ids=chunk, now=now))
    return ended


def end_expired_leases(tx: Transaction, lease_ids: list[UUID], now: datetime) -> int:
    """End those of these leases that were not renewed meanwhile; how many."""
    ended = [row for id in lease_ids if (row := delete_expired_lease(tx, id, now)) is not None]
    if ended:
        return_slots(tx, ended, now)
    return len(ended)
