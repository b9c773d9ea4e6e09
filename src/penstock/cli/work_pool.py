"""`penstock work-pool`: where deployments send their runs and workers find them."""

from typing import Any

import click

from penstock.cli import options
from penstock.cli.invocation import Invocation, fail, pass_invocation
from penstock.cli.output import Column, show_change, show_details, show_list
from penstock.cli.pages import read_pages

COLUMNS: list[Column] = [
    ("name", lambda pool: pool.name),
    ("type", lambda pool: pool.type),
    ("status", lambda pool: pool.status),
    ("limit", lambda pool: pool.concurrency_limit),
    ("description", lambda pool: pool.description),
]

_description = click.option("--description", metavar="TEXT", help="What the pool is for.")
_template = click.option(
    "--base-job-template",
    "template_file",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="JSON file with the pool's job template; - reads stdin.",
)


@click.group("work-pool")
def work_pool() -> None:
    """Create and change work pools."""


@work_pool.command("create")
@click.argument("name")
@click.option(
    "--type", "pool_type", default="process", show_default=True, help="What its workers run."
)
@_description
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Runs at the same time.")
@click.option("--paused", is_flag=True, help="Hand out no runs until it is resumed.")
@_template
@options.output
@pass_invocation
def create(
    invocation: Invocation,
    name: str,
    pool_type: str,
    description: str | None,
    concurrency_limit: int | None,
    paused: bool,
    template_file: Any,
    output: str,
) -> None:
    """Create a work pool.

    Example: penstock work-pool create local --concurrency-limit 4
    """
    body: dict[str, Any] = {"name": name, "type": pool_type, "is_paused": paused}
    if description is not None:
        body["description"] = description
    if concurrency_limit is not None:
        body["concurrency_limit"] = concurrency_limit
    if template_file is not None:
        body["base_job_template"] = _read_template(template_file)
    elif pool_type == "process":
        from penstock.worker.job import PROCESS_JOB_TEMPLATE

        body["base_job_template"] = PROCESS_JOB_TEMPLATE
    from penstock.sdk.errors import Conflict

    try:
        made = invocation.client.create_work_pool(**body)
    except Conflict:
        fail(
            f"There is already a work pool {name!r}",
            f"take another name, or change it with: penstock work-pool update {name}",
        )
    show_change(invocation, output, f"Created work pool {made.name!r}.", dict(made))


@work_pool.command("ls")
@options.limit
@options.output
@pass_invocation
def ls(invocation: Invocation, limit: int, output: str) -> None:
    """List work pools."""
    found = read_pages(
        lambda size, offset: invocation.client.read_work_pools(limit=size, offset=offset), limit
    )
    show_list(invocation, output, found, COLUMNS, "No work pools.")


@work_pool.command("inspect")
@click.argument("name")
@options.output
@pass_invocation
def inspect(invocation: Invocation, name: str, output: str) -> None:
    """Show one work pool."""
    show_details(invocation, output, _find(invocation, name))


@work_pool.command("update")
@click.argument("name")
@_description
@click.option(
    "--concurrency-limit",
    type=click.IntRange(min=-1),
    help="Runs at the same time; -1: any number.",
)
@_template
@options.output
@pass_invocation
def update(
    invocation: Invocation,
    name: str,
    description: str | None,
    concurrency_limit: int | None,
    template_file: Any,
    output: str,
) -> None:
    """Change a work pool's description, limit or job template."""
    changes: dict[str, Any] = {}
    if description is not None:
        changes["description"] = description
    if concurrency_limit is not None:
        changes["concurrency_limit"] = None if concurrency_limit < 0 else concurrency_limit
    if template_file is not None:
        changes["base_job_template"] = _read_template(template_file)
    if not changes:
        raise click.UsageError(
            "Give what to change: --description, --concurrency-limit or --base-job-template"
        )
    _change(invocation, name, changes, f"Updated work pool {name!r}.", output)


@work_pool.command("pause")
@click.argument("name")
@options.output
@pass_invocation
def pause(invocation: Invocation, name: str, output: str) -> None:
    """Hand out no more runs; those under way go on."""
    _change(invocation, name, {"is_paused": True}, f"Paused work pool {name!r}.", output)


@work_pool.command("resume")
@click.argument("name")
@options.output
@pass_invocation
def resume(invocation: Invocation, name: str, output: str) -> None:
    """Hand out runs again."""
    _change(invocation, name, {"is_paused": False}, f"Resumed work pool {name!r}.", output)


@work_pool.command("delete")
@click.argument("name")
@options.yes
@options.output
@pass_invocation
def delete(invocation: Invocation, name: str, yes: bool, output: str) -> None:
    """Delete a work pool and its queues; its deployments and runs stay, without a pool."""
    found = _find(invocation, name)
    invocation.confirm(f"Delete work pool {name!r} and its queues?", yes)
    invocation.client.delete_work_pool(found.name)
    done = f"Deleted work pool {name!r}."
    show_change(invocation, output, done, {"id": found.id, "name": found.name, "deleted": True})


def _find(invocation: Invocation, name: str) -> Any:
    from penstock.sdk.errors import NotFound

    try:
        return invocation.client.read_work_pool(name)
    except NotFound:
        fail(f"There is no work pool {name!r}", "see the pools with: penstock work-pool ls")


def _change(
    invocation: Invocation, name: str, changes: dict[str, Any], done: str, output: str
) -> None:
    _find(invocation, name)
    invocation.client.update_work_pool(name, **changes)
    if output == "json":
        show_details(invocation, output, _find(invocation, name))
    else:
        invocation.say(done)


def _read_template(file: Any) -> dict[str, Any]:
    try:
        template = options.parse_json(file.read())
    except ValueError as error:
        fail(f"The job template is not JSON: {error}", "see one: penstock work-pool inspect NAME")
    if not isinstance(template, dict):
        fail("The job template is not a JSON object", "give job_configuration and variables")
    return template
