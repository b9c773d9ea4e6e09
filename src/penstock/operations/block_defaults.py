"""Block documents whose data are the defaults of a work pool's job variables."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from penstock.core.errors import InvalidInput, NotFound
from penstock.core.parameter_schemas import JobTemplate, check_job_template
from penstock.operations.slow_validation import problems_of
from penstock.store.block_documents import DocumentTree, select_block_document_rows
from penstock.store.transaction import Transaction


def values_of_blocks(tx: Transaction, template: JobTemplate) -> dict[str, Any]:
    """The data that stand for defaults of the template, asterisks in place of secrets.

    Costs nothing for a template without any. Raises NotFound for a missing block document.
    """
    wanted = {name: _id(text) for name, text in template.block_defaults.items()}
    if not wanted:
        return {}
    rows = select_block_document_rows(tx, list(set(wanted.values())))
    if missing := set(wanted.values()) - {row.id for row in rows}:
        raise _not_found(str(min(missing)))
    tree = DocumentTree(tx, rows)
    return {name: tree.data(id, include_secrets=False) for name, id in wanted.items()}


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found(text) from None


def _not_found(id: str) -> NotFound:
    return NotFound(f"A job variable's default is the block document {id[:100]}, which is missing")


def check_template_with_blocks(tx: Transaction, template: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a template that will not do, NotFound for a missing block document."""
    compiled = check_job_template(template, problems_of)
    blocks = values_of_blocks(tx, compiled)
    for problem in compiled.problems(blocks, required=False) if blocks else ():
        loc = ("body", "base_job_template", "variables", "properties", *problem.path)
        raise InvalidInput(f"A default is not valid: {problem}", loc)
