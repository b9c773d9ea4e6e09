"""Writing deployments: prepared (schemas compiled, parameters checked) before the write lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.rest.deployments import DeploymentCreate, DeploymentUpdate
from penstock.core import documents
from penstock.core.errors import Conflict, InvalidInput, NotFound
from penstock.core.ids import new_id
from penstock.core.parameter_schemas import JobTemplate, compile_parameter_schema
from penstock.operations.deployment_events import tell_deployment
from penstock.operations.hydration import hydrated_parameters
from penstock.operations.schedules import patch_schedules, replace_schedules
from penstock.operations.slow_validation import problems_of
from penstock.store import deployments as store
from penstock.store.concurrency_limits import (
    delete_deployment_limit,
    select_limit_exists,
    upsert_deployment_limit,
)
from penstock.store.flows import select_flow_labels
from penstock.store.run_queues import (
    insert_default_pool_if_missing,
    insert_work_queue_if_missing,
    select_pool_template,
    select_queue_of_pool,
)
from penstock.store.schedules import (
    delete_scheduled_runs,
    select_has_deployment,
    touch_schedules,
)
from penstock.store.transaction import Transaction

#: the pool of queues that are named without one
DEFAULT_POOL = "default-agent-pool"

_TEXT_FIELDS = ("version", "description", "path", "entrypoint")
_PLAIN_FIELDS = (
    *_TEXT_FIELDS,
    "paused",
    "storage_document_id",
    "infrastructure_document_id",
)
_DOCUMENT_FIELDS = ("parameter_openapi_schema", "pull_steps")
_NEVER_NULL = ("parameters", "job_variables")


@dataclass(slots=True)
class PreparedDeployment:
    """Columns to write, and what goes with them."""

    body: DeploymentCreate | DeploymentUpdate
    columns: dict[str, Any]
    now: datetime
    #: the deployment to change; None: the body names flow and deployment
    id: UUID | None = None


def prepare_deployment(
    tx: Transaction, body: DeploymentCreate, now: datetime
) -> PreparedDeployment:
    """Check a deployment to create or overwrite.

    Raises Conflict (409) for an unknown flow and for parameters its schema refuses, NotFound for an
    unknown pool, InvalidInput (422) for an unusable schema or job variables the pool refuses.
    """
    labels = select_flow_labels(tx, body.flow_id)
    if labels is None:
        raise Conflict(f"There is no flow {body.flow_id}; create it by POST /flows/ first")
    schema = body.parameter_openapi_schema
    parameters = _checked_parameters(
        tx, body.parameters, schema, enforce=body.enforce_parameter_schema
    )
    if body.work_pool_name is not None:
        _check_job_variables(tx, body.work_pool_name, body.job_variables)
    _check_limits(tx, body)
    columns = _columns(body, parameters)
    labels = labels | {"prefect.flow.id": str(body.flow_id)} | (body.labels or {})
    columns["labels"] = documents.dump(labels)
    return PreparedDeployment(body, columns, now)


def prepare_deployment_update(
    tx: Transaction, id: UUID, body: DeploymentUpdate, now: datetime
) -> PreparedDeployment:
    """Check the changes of a deployment; raises as `prepare_deployment`, NotFound for it itself."""
    row = store.select_deployment_row(tx, id)
    if row is None:
        raise NotFound(f"There is no deployment {id}")
    sent = body.model_fields_set
    parameters: dict[str, Any] = {}
    if {"parameters", "parameter_openapi_schema", "enforce_parameter_schema"} & sent:
        schema = body.parameter_openapi_schema
        if "parameter_openapi_schema" not in sent:
            schema = _loaded(row.parameter_openapi_schema)
        enforce = body.enforce_parameter_schema
        enforce = row.enforce_parameter_schema if enforce is None else enforce
        values = body.parameters if "parameters" in sent else _loaded(row.parameters)
        parameters = _checked_parameters(tx, values or {}, schema, enforce=enforce)
    if {"job_variables", "work_pool_name"} & sent:
        pool = body.work_pool_name if "work_pool_name" in sent else row.work_pool_name
        variables = body.job_variables if "job_variables" in sent else _loaded(row.job_variables)
        if pool is not None:
            _check_job_variables(tx, pool, variables or {})
    _check_limits(tx, body)
    return PreparedDeployment(body, _columns(body, parameters), now, id)


def _loaded(text: str | None) -> Any:
    return None if text is None else documents.load(text)


def _checked_parameters(
    tx: Transaction, parameters: dict[str, Any], schema: Any, *, enforce: bool
) -> dict[str, Any]:
    """The parameters hydrated, and checked if that is wanted; a run may bring what is missing."""
    hydrated, _ = hydrated_parameters(tx, parameters)
    compiled = None if schema is None else compile_parameter_schema(schema)
    if compiled is not None and (enforce or compiled.slow_to_compile):
        checked = hydrated if enforce else {}
        problems = problems_of(compiled, checked, required=False)
        if problems:
            raise Conflict("Invalid parameters: " + "; ".join(map(str, problems)))
    result: dict[str, Any] = hydrated
    return result


def _check_job_variables(tx: Transaction, pool: str, variables: dict[str, Any]) -> None:
    text = select_pool_template(tx, pool)
    if text is None:
        raise NotFound(f"There is no work pool {pool!r}; create it first")
    template = JobTemplate(documents.load(text), problems_of)
    problems = template.problems(variables, required=False)
    if problems:
        loc = ("body", "job_variables", *problems[0].path)
        raise InvalidInput("; ".join(map(str, problems)), loc)


def _check_limits(tx: Transaction, body: DeploymentCreate | DeploymentUpdate) -> None:
    shared = body.global_concurrency_limit_id
    if shared is None:
        return
    if body.concurrency_limit is not None:
        message = "Give concurrency_limit or global_concurrency_limit_id, not both"
        raise InvalidInput(message, ("body", "global_concurrency_limit_id"))
    if not select_limit_exists(tx, shared):
        raise NotFound(f"There is no concurrency limit {shared}")


def _columns(
    body: DeploymentCreate | DeploymentUpdate, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The columns that the fields which were sent stand for."""
    sent = body.model_fields_set
    columns: dict[str, Any] = {f: getattr(body, f) for f in _PLAIN_FIELDS if f in sent}
    if body.enforce_parameter_schema is not None and "enforce_parameter_schema" in sent:
        columns["enforce_parameter_schema"] = body.enforce_parameter_schema
    for name in _DOCUMENT_FIELDS:
        if name in sent:
            value = getattr(body, name)
            columns[name] = None if value is None else documents.dump(value)
    if "parameters" in sent:
        columns["parameters"] = documents.dump(parameters)
    if "job_variables" in sent:
        columns["job_variables"] = documents.dump(body.job_variables or {})
    if "tags" in sent:
        columns["tags"] = documents.dump(list(dict.fromkeys(body.tags)))
    for name in ("version_info", "concurrency_options"):
        if name in sent:
            model = getattr(body, name)
            columns[name] = None if model is None else documents.dump(model.model_dump(mode="json"))
    return columns


# ------------------------------------------------------------------ units of work


def create_deployment(tx: Transaction, prepared: PreparedDeployment) -> tuple[UUID, bool]:
    """Create the deployment, or overwrite what was sent of the flow's one of this name.

    Its id, and whether it is new. Its schedules become those of the body.
    """
    body, now = prepared.body, prepared.now
    assert isinstance(body, DeploymentCreate)
    columns = prepared.columns | _queue_columns(tx, body, now)
    id = store.select_deployment_id(tx, body.flow_id, body.name)
    new = id is None
    if id is None:
        id = new_id(now)
        empty = {
            "parameter_openapi_schema": documents.EMPTY_OBJECT,
            "pull_steps": documents.EMPTY_ARRAY,
        }
        values = empty | columns
        stamps = {"id": id, "created": now, "updated": now}
        store.insert_deployment(tx, values | stamps | {"name": body.name, "flow_id": body.flow_id})
    else:
        store.update_deployment(tx, id, columns | {"updated": now})
    _set_limit(tx, id, body, now)
    if new or "tags" in body.model_fields_set:
        store.replace_deployment_tags(tx, id, list(dict.fromkeys(body.tags)))
    replace_schedules(tx, id, body.schedules, now)
    if not new:
        _delete_future_runs(tx, id, now)
    tell_deployment(tx, id, "created" if new else "updated", now)
    return id, new


def update_deployment(tx: Transaction, prepared: PreparedDeployment) -> None:
    """Change a deployment; runs that its schedules have made for later are made anew."""
    body, id, now = prepared.body, prepared.id, prepared.now
    assert isinstance(body, DeploymentUpdate)
    assert id is not None
    if not select_has_deployment(tx, id):
        raise NotFound(f"There is no deployment {id}")
    columns = prepared.columns | _queue_columns(tx, body, now)
    store.update_deployment(tx, id, columns | {"updated": now})
    if "tags" in body.model_fields_set:
        store.replace_deployment_tags(tx, id, list(dict.fromkeys(body.tags)))
    _set_limit(tx, id, body, now)
    patch_schedules(tx, id, body, now)
    _delete_future_runs(tx, id, now)
    tell_deployment(tx, id, "updated", now)


def set_deployment_paused(tx: Transaction, id: UUID, paused: bool, now: datetime) -> None:
    """Pause or resume a deployment's schedules. A pause removes all runs they have made so far."""
    if not store.update_deployment(tx, id, {"paused": paused, "updated": now}):
        raise NotFound(f"There is no deployment {id}")
    touch_schedules(tx, id, now)
    if paused:
        _delete_future_runs(tx, id, None)
    tell_deployment(tx, id, "updated", now)


def delete_deployment(tx: Transaction, id: UUID, now: datetime) -> bool:
    """Delete a deployment whose scheduled runs are gone; False when it is not there."""
    if not select_has_deployment(tx, id):
        return False
    tell_deployment(tx, id, "deleted", now)
    replace_schedules(tx, id, [], now)
    delete_deployment_limit(tx, id)
    return store.delete_deployment_row(tx, id)


def delete_deployment_part(tx: Transaction, id: UUID, now: datetime) -> bool | None:
    """Delete a chunk of a deployment's scheduled runs, and at last the deployment itself.

    True when it is gone, False when there is more to do, None when there is no such deployment.
    """
    if not select_has_deployment(tx, id):
        return None
    if delete_scheduled_runs(tx, id, auto_scheduled=False):
        return False
    gone = delete_deployment(tx, id, now)
    _delete_future_runs(tx, id, None)
    return gone


def _delete_future_runs(tx: Transaction, id: UUID, after: datetime | None) -> None:
    # Bounded: a schedule has at most 100 runs ahead. Only after its schedules were written: that
    # waits for a scheduler under way, whose runs are then seen here.
    while delete_scheduled_runs(tx, id, auto_scheduled=True, after=after):
        pass


def _queue_columns(
    tx: Transaction, body: DeploymentCreate | DeploymentUpdate, now: datetime
) -> dict[str, Any]:
    sent = body.model_fields_set
    pool, queue = body.work_pool_name, body.work_queue_name
    if pool is None and "work_pool_name" in sent and queue is None:
        return {"work_queue_id": None}
    if pool is None and queue is None:
        return {}
    if pool is None:
        pool = DEFAULT_POOL
        insert_default_pool_if_missing(tx, pool, now)
    default = select_queue_of_pool(tx, pool, None)
    if default is None:
        raise NotFound(f"There is no work pool {pool!r}; create it first")
    if queue is None or queue == default.name:
        return {"work_queue_id": default.id}
    return {"work_queue_id": insert_work_queue_if_missing(tx, default.work_pool_id, queue, now)}


def _set_limit(
    tx: Transaction, id: UUID, body: DeploymentCreate | DeploymentUpdate, now: datetime
) -> None:
    sent = body.model_fields_set
    if not {"concurrency_limit", "global_concurrency_limit_id"} & sent:
        return
    if body.concurrency_limit is not None:
        limit_id: UUID | None = upsert_deployment_limit(tx, id, body.concurrency_limit, now)
    else:
        delete_deployment_limit(tx, id)
        limit_id = body.global_concurrency_limit_id
    store.update_deployment(tx, id, {"concurrency_limit_id": limit_id})
