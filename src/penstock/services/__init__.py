"""The engine rooms: background loops. `make_loops` makes all of them."""

import asyncio

from penstock.core.attempts import HEARTBEAT_SECONDS, LEASE_SECONDS
from penstock.services import csrf_tokens, repossessor
from penstock.services.cancellations import (
    OLD_EVERY_SECONDS,
    clean_up_cancelled,
    clean_up_cancelled_before,
)
from penstock.services.expired_pauses import fail_expired_pauses
from penstock.services.late_runs import mark_late_runs
from penstock.services.loop import Loop, RunOnce
from penstock.services.lost_runs import rescue_lost_runs, rescue_silent_runs
from penstock.services.repossessor import repossess_slots
from penstock.services.run_counts import fold_run_counts
from penstock.services.scheduler import schedule_runs
from penstock.services.worker_status import EVERY, watch_workers
from penstock.store.due_work import WATCHED

#: how often loops look that are woken when there is something to do
WATCHED_SECONDS = 60


def make_loops() -> list[Loop]:
    """All loops but those that need to know this server's streams."""

    def watched(name: str, run_once: RunOnce, settle_seconds: float = 0.0) -> Loop:
        assert name in WATCHED
        return Loop(name, WATCHED_SECONDS, run_once, asyncio.Event(), settle_seconds)

    return [
        watched("scheduler", schedule_runs),
        watched("late runs", mark_late_runs),
        watched("expired pauses", fail_expired_pauses),
        watched("cancellations", clean_up_cancelled),
        watched("run counts", fold_run_counts),
        # A server that was away gives every lease and attempt the time to be renewed before it
        # judges.
        watched("repossessor", repossess_slots, repossessor.SETTLE_SECONDS),
        watched("lost runs", rescue_lost_runs, LEASE_SECONDS),
        watched("silent runs", rescue_silent_runs, HEARTBEAT_SECONDS),
        Loop("old cancellations", OLD_EVERY_SECONDS, clean_up_cancelled_before),
        Loop("worker status", EVERY.total_seconds(), watch_workers),
        Loop("csrf tokens", csrf_tokens.EVERY_SECONDS, csrf_tokens.forget_csrf_tokens),
    ]
