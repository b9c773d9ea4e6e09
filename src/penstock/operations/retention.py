"""Pruning runs: deleting what has ended long ago, without freeing its idempotency key."""

from datetime import datetime
from uuid import UUID

from penstock.store.artifacts import delete_artifacts_of_run
from penstock.store.run_removal import delete_flow_run_part, keep_key
from penstock.store.transaction import Transaction

#: artifacts that one unit of work deletes: each has a key whose newest may change
CHUNK = 100


def prune_flow_run_part(tx: Transaction, id: UUID, now: datetime) -> bool | None:
    """Delete a chunk of what belongs to an ended run, and at last the run itself.

    True when it is gone, False when there is more to do, None when it runs again.
    """
    ended = keep_key(tx, id)
    if ended is not True:
        return None if ended is False else True
    if delete_artifacts_of_run(tx, id, CHUNK, now) == CHUNK:
        return False
    return delete_flow_run_part(tx, id) is not False
