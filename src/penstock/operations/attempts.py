"""Keeping an attempt alive."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.attempts import LEASE_SECONDS
from penstock.core.errors import Gone
from penstock.store import attempts
from penstock.store.transaction import Transaction


def renew_attempt(tx: Transaction, attempt: UUID, now: datetime) -> dict[str, Any]:
    """Let the attempt last another lease from now: AttemptRenewal. Gone (410) when it is over."""
    row = attempts.renew_attempt(tx, attempt, now + timedelta(seconds=LEASE_SECONDS))
    if row is None:
        raise Gone(
            f"The attempt {attempt} is over: its run has ended, was lost, or is executed by another"
        )
    return {
        "flow_run_id": row.id,
        "lease_seconds": LEASE_SECONDS,
        "state_type": row.state_type,
        "state_name": row.state_name,
    }
