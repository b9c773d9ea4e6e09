"""Keeping an attempt alive."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.attempts import LEASE_SECONDS
from penstock.core.concurrency_rules import GRACE_SECONDS
from penstock.core.errors import Gone
from penstock.store import attempts
from penstock.store.concurrency_slots import extend_lease
from penstock.store.transaction import Transaction


def renew_attempt(tx: Transaction, attempt: UUID, now: datetime) -> dict[str, Any]:
    """Let the attempt last another lease from now: AttemptRenewal. Gone (410) when it is over.

    A slot of the deployment that its run holds is kept with it.
    """
    row = attempts.renew_attempt(tx, attempt, now + timedelta(seconds=LEASE_SECONDS))
    if row is None:
        raise Gone(
            f"The attempt {attempt} is over: its run has ended, was lost, or is executed by another"
        )
    if row.lease_id is not None:
        extend_lease(tx, row.lease_id, now + timedelta(seconds=GRACE_SECONDS))
    return {
        "flow_run_id": row.id,
        "lease_seconds": LEASE_SECONDS,
        "state_type": row.state_type,
        "state_name": row.state_name,
    }
