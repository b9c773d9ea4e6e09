"""The engine rooms: background loops. `LOOPS` is all of them."""

from penstock.core.attempts import HEARTBEAT_SECONDS, LEASE_SECONDS
from penstock.services import cancellations, csrf_tokens, expired_pauses, repossessor
from penstock.services.late_runs import mark_late_runs
from penstock.services.loop import Loop
from penstock.services.lost_runs import rescue_lost_runs, rescue_silent_runs
from penstock.services.run_counts import EVERY_SECONDS, fold_run_counts
from penstock.services.scheduler import schedule_runs
from penstock.services.worker_status import EVERY, watch_workers

LOOPS: list[Loop] = [
    Loop("scheduler", 5, schedule_runs),
    Loop("late runs", 5, mark_late_runs),
    Loop("expired pauses", expired_pauses.EVERY_SECONDS, expired_pauses.fail_expired_pauses),
    Loop("cancellations", cancellations.EVERY_SECONDS, cancellations.clean_up_cancelled),
    Loop(
        "old cancellations",
        cancellations.OLD_EVERY_SECONDS,
        cancellations.clean_up_cancelled_before,
    ),
    Loop("worker status", EVERY.total_seconds(), watch_workers),
    Loop("run counts", EVERY_SECONDS, fold_run_counts),
    Loop("repossessor", repossessor.EVERY_SECONDS, repossessor.repossess_slots),
    Loop("csrf tokens", csrf_tokens.EVERY_SECONDS, csrf_tokens.forget_csrf_tokens),
    # A server that was away gives every attempt the time to be renewed before it judges.
    Loop("lost runs", 5, rescue_lost_runs, settle_seconds=LEASE_SECONDS),
    Loop("silent runs", 15, rescue_silent_runs, settle_seconds=HEARTBEAT_SECONDS),
]
