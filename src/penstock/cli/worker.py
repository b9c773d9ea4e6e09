"""`penstock worker`: a process that executes the flow runs of a work pool."""

import click

from penstock.cli import options


@click.group()
def worker() -> None:
    """Execute the flow runs of a work pool."""


@worker.command("start")
@options.pool("The work pool to take runs from.", required=True)
@click.option(
    "--queue",
    "-q",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only this work queue's runs. Repeatable; default: all queues of the pool.",
)
@click.option("--name", "-n", metavar="NAME", help="How the worker appears in the pool.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many runs at the same time, at most.",
)
@click.option(
    "--type",
    "worker_type",
    type=click.Choice(["process"]),
    default="process",
    show_default=True,
    help="How the runs are executed.",
)
def start(
    pool: str, queues: tuple[str, ...], name: str | None, limit: int, worker_type: str
) -> int:
    """Execute runs until Ctrl-C or SIGTERM; the runs under way are finished first.

    Example: penstock worker start --pool local --limit 4
    """
    from penstock.worker import WorkerOptions, run_worker

    chosen = WorkerOptions(pool=pool, queues=queues, name=name, limit=limit, type=worker_type)
    return run_worker(chosen)
