"""The process worker: takes flow runs from a work pool and executes each in a process of its own.

Importing this package loads nothing heavy; `run_worker` does.
"""

from dataclasses import dataclass

__all__ = ["WorkerOptions", "run_worker"]


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker is told when it starts."""

    #: Name of the work pool whose runs it takes.
    pool: str
    #: Only runs of these queues; all queues of the pool when empty.
    queues: tuple[str, ...] = ()
    #: How the worker appears in the pool; `process-<host>-<short>` when not given.
    name: str | None = None
    #: At most this many runs at once.
    limit: int = 100
    #: The kind of pool this worker serves; only `process` exists.
    type: str = "process"
    #: Make the pool when it does not exist.
    create_pool_if_missing: bool = True
    #: A cancelled run has this long after SIGTERM before it is killed.
    grace_seconds: float = 30.0
    #: How many flows are kept imported, ready to be forked: code outside of functions then runs
    #: once for many runs, until a file changes. 0 imports each flow for each run.
    warm_flows: int = 4


def run_worker(options: WorkerOptions) -> int:
    """Work until SIGTERM or SIGINT, then let the running flows end; the process's exit code.

    Must be called in the main thread, because it installs signal handlers. Failures at the start
    (the pool is missing, the server refuses) are raised as `penstock.sdk.errors.PenstockError`.
    """
    from penstock.worker.loop import Worker

    return Worker(options).run()
