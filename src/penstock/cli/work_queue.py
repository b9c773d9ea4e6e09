"""`penstock work-queue`: the queues in which a pool's runs wait."""

from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.output import Column, show_change, show_details, show_list

if TYPE_CHECKING:
    from penstock.contract.rest.work_queues import WorkQueueResponse

COLUMNS: list[Column] = [
    ("name", lambda queue: queue.name),
    ("priority", lambda queue: queue.priority),
    ("limit", lambda queue: queue.concurrency_limit),
    ("status", lambda queue: queue.status),
    ("last polled", lambda queue: queue.last_polled),
]
_pool = options.pool("The queue's work pool.", required=True)


@click.group("work-queue")
def work_queue() -> None:
    """Create and change the queues of a work pool."""


@work_queue.command("ls")
@_pool
@options.output
@pass_invocation
def ls(invocation: Invocation, pool: str, output: str) -> None:
    """List the queues of a pool, the one served first on top."""
    found = sorted(invocation.client.read_work_queues(pool), key=lambda queue: queue.priority or 0)
    show_list(invocation, output, found, COLUMNS, "No work queues.")


@work_queue.command("inspect")
@click.argument("name")
@_pool
@options.output
@pass_invocation
def inspect(invocation: Invocation, name: str, pool: str, output: str) -> None:
    """Show one queue."""
    show_details(invocation, output, _find(invocation, pool, name))


@work_queue.command("create")
@click.argument("name")
@_pool
@click.option("--priority", type=click.IntRange(min=1), help="1 is served first.")
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Runs at the same time.")
@options.output
@pass_invocation
def create(
    invocation: Invocation,
    name: str,
    pool: str,
    priority: int | None,
    concurrency_limit: int | None,
    output: str,
) -> None:
    """Create a queue.

    Example: penstock work-queue create urgent --pool local --priority 1
    """
    from penstock.sdk.errors import Conflict, NotFound

    given: dict[str, Any] = {"priority": priority, "concurrency_limit": concurrency_limit}
    given = {key: value for key, value in given.items() if value is not None}
    try:
        made = invocation.client.create_work_queue(pool, name=name, **given)
    except NotFound:
        fail(f"There is no work pool {pool!r}", "see what there is: penstock work-pool ls")
    except Conflict:
        fail(f"Work pool {pool!r} has a queue {name!r}", "choose another name")
    value = {"id": made.id, "name": name}
    show_change(invocation, output, f"Created work queue {name!r}.", value)


@work_queue.command("pause")
@click.argument("name")
@_pool
@options.output
@pass_invocation
def pause(invocation: Invocation, name: str, pool: str, output: str) -> None:
    """Hand out no runs of a queue until it is resumed."""
    _change(invocation, pool, name, output, "Paused", is_paused=True)


@work_queue.command("resume")
@click.argument("name")
@_pool
@options.output
@pass_invocation
def resume(invocation: Invocation, name: str, pool: str, output: str) -> None:
    """Hand out the runs of a paused queue again."""
    _change(invocation, pool, name, output, "Resumed", is_paused=False)


@work_queue.command("delete")
@click.argument("name")
@_pool
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, name: str, pool: str, yes: bool, output: str) -> None:
    """Delete a queue."""
    _find(invocation, pool, name)
    invocation.confirm(f"Delete work queue {name!r}?", yes)
    invocation.client.delete_work_queue(pool, name)
    show_change(invocation, output, f"Deleted work queue {name!r}.", {"name": name})


def _change(
    invocation: Invocation, pool: str, name: str, output: str, done: str, **fields: Any
) -> None:
    queue = _find(invocation, pool, name)
    invocation.client.update_work_queue(pool, name, **fields)
    value = {"id": queue.id, "name": name, **fields}
    show_change(invocation, output, f"{done} work queue {name!r}.", value)


def _find(invocation: Invocation, pool: str, name: str) -> "WorkQueueResponse":
    from penstock.sdk.errors import NotFound

    try:
        return invocation.client.read_work_queue(pool, name)
    except NotFound:
        fail(
            f"There is no work queue {name!r} in pool {pool!r}",
            "see what there is: penstock work-queue ls --pool POOL",
        )
