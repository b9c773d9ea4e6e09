"""Keeping an attempt alive."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from penstock.core.attempts import LEASE_SECONDS, patience_after
from penstock.core.concurrency_rules import GRACE_SECONDS
from penstock.core.errors import Gone
from penstock.store import attempts
from penstock.store.concurrency_slots import extend_lease
from penstock.store.transaction import Transaction


class Heartbeat(NamedTuple):
    """A sign of life of a run that has no attempt."""

    flow_run_id: UUID
    sent: datetime
    #: when the one before was sent; None when this is the first one known
    previous: datetime | None


def hear_heartbeats(tx: Transaction, heartbeats: Sequence[Heartbeat], now: datetime) -> None:
    """Watch the runs: one that sends no more heartbeats will be lost."""
    for run_id, sent, previous in heartbeats:
        first, next = patience_after(sent, None), patience_after(sent, previous)
        # From when they have come in: a client that was cut off sends them late, but is alive.
        attempts.hear_heartbeat(tx, run_id, now + first, now + next)


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
