"""What runs are prepared from: a deployment's facts and its compiled schemas, remembered.

Remembering is safe because a run is written only while its deployment still has the revision that
it was prepared from.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from penstock.core import documents
from penstock.core.errors import Conflict, InvalidInput, NotFound, PenstockServerError
from penstock.core.parameter_schemas import (
    CompiledSchema,
    JobTemplate,
    compile_parameter_schema,
)
from penstock.operations.block_defaults import values_of_blocks
from penstock.operations.slow_validation import problems_of
from penstock.store.deployments import select_deployment_facts
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

T = TypeVar("T")

#: deployments remembered per process; the longest remembered are forgotten first
REMEMBERED = 2000


class DeploymentFacts:
    """One revision of a deployment, with everything made of it that is worth keeping."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.id: UUID = row.id
        self.revision: int = row.revision
        self.flow_id: UUID = row.flow_id
        self.version: str | None = row.version
        self.enforce_parameter_schema: bool = row.enforce_parameter_schema
        self.infrastructure_document_id: UUID | None = row.infrastructure_document_id
        self.work_queue_id: UUID | None = row.work_queue_id
        self.work_queue_name: str | None = row.work_queue_name
        self.work_pool_id: UUID | None = row.work_pool_id
        self.work_pool_name: str | None = row.work_pool_name
        self.tags: list[str] = documents.load(row.tags)
        self.labels: dict[str, Any] = documents.load(row.labels) | {
            "prefect.flow.id": str(row.flow_id),
            "prefect.deployment.id": str(row.id),
        }
        self.parameters: dict[str, Any] = documents.load(row.parameters)

    @cached_property
    def parameter_schema(self) -> CompiledSchema | None:
        """The compiled schema of the parameters; None when the deployment has none.

        Raises Conflict (409) or InvalidInput (422) when it is not a usable JSON Schema.
        """
        text = self._row.parameter_openapi_schema
        return None if text is None else compile_parameter_schema(documents.load(text))

    @cached_property
    def job_template(self) -> JobTemplate | None:
        """The compiled template of the pool's job variables; None without a pool."""
        text = self._row.base_job_template
        return None if text is None else JobTemplate(documents.load(text), problems_of)

    def check_parameters(self, parameters: dict[str, Any]) -> None:
        """Raise Conflict (409), naming the field, for parameters the schema refuses."""
        schema = self.parameter_schema
        problems = problems_of(schema, parameters) if schema is not None else []
        if problems:
            raise Conflict("Invalid parameters: " + "; ".join(map(str, problems)))

    def check_job_variables(self, tx: Transaction, given: dict[str, Any] | None) -> None:
        """Raise InvalidInput (422) for job variables the pool's template refuses.

        NotFound when one's default is a block document that is missing.
        """
        if self.job_template is None:
            return
        own = documents.load(self._row.job_variables)
        blocks = values_of_blocks(tx, self.job_template)
        problems = self.job_template.problems(own, given, blocks=blocks)
        if problems:
            loc = ("body", "job_variables", *problems[0].path)
            raise InvalidInput("; ".join(map(str, problems)), loc)


def deployment_facts(tx: Transaction, id: UUID) -> DeploymentFacts:
    """A deployment's facts, remembered or read. NotFound when there is no such deployment."""
    remembered: dict[UUID, DeploymentFacts] = tx.memory.setdefault("deployments", {})
    facts = remembered.get(id)
    if facts is None:
        row = select_deployment_facts(tx, id)
        if row is None:
            raise NotFound(f"There is no deployment {id}")
        facts = remembered[id] = DeploymentFacts(row)
        while len(remembered) > REMEMBERED:
            remembered.pop(next(iter(remembered)), None)
    return facts


def with_deployment_facts(tx: Transaction, id: UUID, use: Callable[[DeploymentFacts], T]) -> T:
    """What `use` makes of a deployment's facts; a refusal counts only if the facts are current."""
    facts = deployment_facts(tx, id)
    try:
        return use(facts)
    except PenstockServerError:
        row = select_deployment_facts(tx, id)
        if row is not None and row.revision == facts.revision:
            raise
    forget(tx, id)
    return use(deployment_facts(tx, id))


def forget(tx: Transaction, id: UUID) -> None:
    """Read the deployment's facts again next time."""
    tx.memory.get("deployments", {}).pop(id, None)
