"""Filters of the wire made into WHERE conditions, one function per resource.

Each gives None when every row will do. What concerns several resources at once: `filter_scopes`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from penstock.contract.enums import Operator
from penstock.contract.rest import filters as wire
from penstock.core import documents
from penstock.store.tables import (
    WORKSPACE,
    artifact,
    artifact_collection,
    concurrency_limit,
    deployment,
    deployment_tag,
    flow,
    flow_run,
    flow_run_tag,
    flow_tag,
    idempotency_key,
    task_run,
    task_run_tag,
    variable,
    work_pool,
    work_queue,
)

Condition = ColumnElement[bool]
AnyColumn = Column[Any]


def joined(filter: Any, conditions: Sequence[Condition | None]) -> Condition | None:
    """The conditions that say something, joined as the filter wants; None when none does."""
    said = [c for c in conditions if c is not None]
    if len(said) < 2:
        return said[0] if said else None
    either = getattr(filter, "operator", Operator.and_) is Operator.or_
    return or_(*said) if either else and_(*said)


def joined_parts(filter: Any, **parts: Condition | None) -> Condition | None:
    """The conditions of a filter's parts, by their names, joined as the filter wants.

    A part that is there and says nothing holds for every row: of alternatives, it is enough.
    """
    if filter.operator is Operator.or_:
        for name, condition in parts.items():
            if condition is None and getattr(filter, name) is not None:
                return None
    return joined(filter, list(parts.values()))


def among(column: AnyColumn, values: Sequence[Any]) -> Condition:
    """Is one of these values."""
    # With `=` an index gives its rows in order of its further columns, with IN it does not.
    return column == values[0] if len(values) == 1 else column.in_(values)


def _among(column: AnyColumn, values: Sequence[Any] | None) -> Condition | None:
    return None if values is None else among(column, values)


def _not_among(column: AnyColumn, values: Sequence[Any] | None) -> Condition | None:
    return None if values is None else column.not_in(values)


def _is_null(column: AnyColumn, wanted: bool | None) -> Condition | None:
    if wanted is None:
        return None
    return column.is_(None) if wanted else column.is_not(None)


def _like(column: AnyColumn, part: str | None) -> Condition | None:
    """Contains that text, upper or lower case; `%` and `_` mean themselves."""
    return None if part is None else column.icontains(part, autoescape=True)


def ids_condition(column: AnyColumn, filter: Any) -> Condition | None:
    """any_, and not_any_ or is_null_ where the filter has them."""
    if filter is None:
        return None
    conditions = [
        _among(column, filter.any_),
        _not_among(column, getattr(filter, "not_any_", None)),
        _is_null(column, getattr(filter, "is_null_", None)),
    ]
    return joined(filter, conditions)


def _names(column: AnyColumn, filter: Any) -> Condition | None:
    """any_, and like_ or not_any_ where the filter has them."""
    if filter is None:
        return None
    conditions = [
        _among(column, filter.any_),
        _not_among(column, getattr(filter, "not_any_", None)),
        _like(column, getattr(filter, "like_", None)),
    ]
    return joined(filter, conditions)


def _state(table: Table, filter: Any) -> Condition | None:
    if filter is None:
        return None
    conditions = []
    for column, criterion in (
        (table.c.state_type, filter.type),
        (table.c.state_name, filter.name),
    ):
        if criterion is not None:
            conditions.append(_among(column, plain(criterion.any_)))
            conditions.append(_not_among(column, plain(getattr(criterion, "not_any_", None))))
    return joined(filter, conditions)


def plain(values: Sequence[str] | None) -> list[str] | None:
    """Members of an enumeration as the plain texts that drivers take."""
    return None if values is None else [str(v) for v in values]


def _between(column: AnyColumn, filter: Any) -> Condition | None:
    if filter is None:
        return None
    conditions = [
        None if filter.before_ is None else column <= filter.before_,
        None if filter.after_ is None else column >= filter.after_,
        _is_null(column, getattr(filter, "is_null_", None)),
    ]
    return joined(filter, conditions)


def _started_between(filter: Any) -> Condition | None:
    """By start time; a run that has not started counts by the time it is expected to."""
    if filter is None:
        return None
    start, expected = flow_run.c.start_time, flow_run.c.expected_start_time

    def bound(before: datetime | None, after: datetime | None) -> Condition | None:
        if before is None and after is None:
            return None
        started: list[Condition] = [start.is_not(None)]
        waiting: list[Condition] = [start.is_(None)]
        if before is not None:
            started.append(start <= before)
            waiting.append(expected <= before)
        if after is not None:
            started.append(start >= after)
            waiting.append(expected >= after)
        return or_(and_(*started), and_(*waiting))

    return joined(filter, [bound(filter.before_, filter.after_), _is_null(start, filter.is_null_)])


def tagged(owner: AnyColumn, tags: Sequence[str], *, all_of: bool) -> Any:
    """A query for the ids of those that have all (or any) of the tags, from a side table."""
    tag = owner.table.c.tag
    distinct = list(dict.fromkeys(tags))
    found = select(owner).where(tag.in_(distinct) if len(distinct) != 1 else tag == distinct[0])
    if all_of and len(distinct) > 1:
        return found.group_by(owner).having(func.count() == len(distinct))
    return found


def _tags(table: Table, owner: AnyColumn, filter: Any) -> Condition | None:
    if filter is None:
        return None
    side, id = owner.table.c, table.c.id

    def has(condition: Condition) -> Condition:
        # Asked row by row, so that walking a list in order stays cheap however common a tag is.
        return select(owner).where(owner == id, condition).correlate(table).exists()

    conditions: list[Condition | None] = []
    if filter.all_ is not None:
        distinct = list(dict.fromkeys(filter.all_))
        if len(distinct) <= 3:  # none of them asks for nothing
            conditions.extend(has(side.tag == t) for t in distinct)
        else:
            conditions.append(id.in_(tagged(owner, distinct, all_of=True)))
    if getattr(filter, "any_", None) is not None:
        conditions.append(has(side.tag.in_(filter.any_)))
    if filter.is_null_ is not None:
        none = table.c.tags == documents.EMPTY_ARRAY
        conditions.append(none if filter.is_null_ else ~none)
    return joined(filter, conditions)


# ------------------------------------------------------------------ one resource each


def flow_condition(filter: wire.FlowFilter | None) -> Condition | None:
    """Which flows."""
    if filter is None:
        return None
    deployed = None
    if filter.deployment is not None and filter.deployment.is_null_ is not None:
        deployed = flow.c.id.in_(select(deployment.c.flow_id))
        if filter.deployment.is_null_:
            deployed = ~deployed
    return joined_parts(
        filter,
        id=ids_condition(flow.c.id, filter.id),
        deployment=deployed,
        name=_names(flow.c.name, filter.name),
        tags=_tags(flow, flow_tag.c.flow_id, filter.tags),
    )


def flow_run_condition(filter: wire.FlowRunFilter | None) -> Condition | None:
    """Which flow runs."""
    if filter is None:
        return None
    run = flow_run.c
    version = filter.flow_version
    return joined_parts(
        filter,
        id=ids_condition(run.id, filter.id),
        name=_names(run.name, filter.name),
        tags=_tags(flow_run, flow_run_tag.c.flow_run_id, filter.tags),
        deployment_id=ids_condition(run.deployment_id, filter.deployment_id),
        work_queue_name=_in_queues(filter.work_queue_name),
        state=_state(flow_run, filter.state),
        flow_version=None if version is None else _among(run.flow_version, version.any_),
        start_time=_started_between(filter.start_time),
        end_time=_between(run.end_time, filter.end_time),
        expected_start_time=_between(run.expected_start_time, filter.expected_start_time),
        next_scheduled_start_time=_between(
            run.next_scheduled_start_time, filter.next_scheduled_start_time
        ),
        parent_flow_run_id=subflow_condition(filter.parent_flow_run_id),
        parent_task_run_id=ids_condition(run.parent_task_run_id, filter.parent_task_run_id),
        idempotency_key=_keyed(filter.idempotency_key),
        created_by=_created_by(filter.created_by),
    )


def _in_queues(filter: wire.FlowRunFilterWorkQueueName | None) -> Condition | None:
    if filter is None:
        return None
    named = None
    if filter.any_ is not None:
        queues = select(work_queue.c.id).where(work_queue.c.name.in_(filter.any_))
        named = flow_run.c.work_queue_id.in_(queues)
    return joined(filter, [named, _is_null(flow_run.c.work_queue_id, filter.is_null_)])


def subflow_condition(filter: wire.FlowRunFilterParentFlowRunId | None) -> Condition | None:
    """Flow runs that are subflow runs of some flow runs."""
    if filter is None or filter.any_ is None:
        return None
    parents = select(task_run.c.id).where(task_run.c.flow_run_id.in_(filter.any_))
    return flow_run.c.parent_task_run_id.in_(parents)


def _keyed(filter: wire.FlowRunFilterIdempotencyKey | None) -> Condition | None:
    if filter is None:
        return None
    conditions = [_not_among(flow_run.c.idempotency_key, filter.not_any_)]
    if filter.any_ is not None:
        conditions.append(flow_run.c.id.in_(holders_of_keys(filter.any_)))
    return joined(filter, conditions)


def holders_of_keys(keys: Sequence[str]) -> Any:
    """A query for the ids of the runs that hold these idempotency keys."""
    return select(idempotency_key.c.flow_run_id).where(
        idempotency_key.c.workspace_id == WORKSPACE, idempotency_key.c.key.in_(keys)
    )


class member_text(FunctionElement[str]):
    """The text of one member of a JSON document."""

    type = Text()
    inherit_cache = True


@compiles(member_text, "sqlite")
def _member_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"json_extract({compiler.process(column, **options)}, '$.{name.value}')"


@compiles(member_text, "postgresql")
def _member_postgres(element: Any, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"(({compiler.process(column, **options)})::json ->> '{name.value}')"


class holds_text(FunctionElement[bool]):
    """Whether a JSON list of texts has this one."""

    type = Boolean()
    inherit_cache = True


@compiles(holds_text, "sqlite")
def _holds_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(c, **options) for c in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = {text})"


@compiles(holds_text, "postgresql")
def _holds_postgres(element: Any, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(c, **options) for c in element.clauses)
    each = f"json_array_elements_text(({column})::json)"
    return f"EXISTS (SELECT 1 FROM {each} AS one(text) WHERE one.text = {text})"


def _created_by(filter: wire.FlowRunFilterCreatedBy | None) -> Condition | None:
    if filter is None:
        return None
    made_by = flow_run.c.created_by
    ids = None if filter.id_ is None else [str(i) for i in filter.id_]
    conditions = [
        None if ids is None else member_text(made_by, literal("id")).in_(ids),
        None if filter.type_ is None else member_text(made_by, literal("type")).in_(filter.type_),
        _is_null(made_by, filter.is_null_),
    ]
    return joined(filter, conditions)


def task_run_condition(filter: wire.TaskRunFilter | None) -> Condition | None:
    """Which task runs."""
    if filter is None:
        return None
    run = task_run.c
    return joined_parts(
        filter,
        id=ids_condition(run.id, filter.id),
        name=_names(run.name, filter.name),
        tags=_tags(task_run, task_run_tag.c.task_run_id, filter.tags),
        state=_state(task_run, filter.state),
        start_time=_between(run.start_time, filter.start_time),
        end_time=_between(run.end_time, filter.end_time),
        expected_start_time=_between(run.expected_start_time, filter.expected_start_time),
        subflow_runs=_with_subflow_runs(filter.subflow_runs),
        flow_run_id=_of_flow_runs(filter.flow_run_id),
    )


def _with_subflow_runs(filter: wire.TaskRunFilterSubFlowRuns | None) -> Condition | None:
    if filter is None or filter.exists_ is None:
        return None
    child = flow_run.alias("child")
    exists = (
        select(child.c.id)
        .where(child.c.parent_task_run_id == task_run.c.id)
        .correlate(task_run)
        .exists()
    )
    return exists if filter.exists_ else ~exists


def _of_flow_runs(filter: wire.TaskRunFilterFlowRunId | None) -> Condition | None:
    if filter is None:
        return None
    id = task_run.c.flow_run_id
    # compat: `is_null_` is false unless said otherwise, and then adds nothing to `any_`
    is_null = None if filter.any_ is not None and not filter.is_null_ else filter.is_null_
    return joined(filter, [_among(id, filter.any_), _is_null(id, is_null)])


def deployment_condition(filter: wire.DeploymentFilter | None) -> Condition | None:
    """Which deployments."""
    if filter is None:
        return None
    either_name = None
    if filter.flow_or_deployment_name is not None:
        part = filter.flow_or_deployment_name.like_
        if part is not None:
            flows = select(flow.c.id).where(flow.c.name.icontains(part, autoescape=True))
            either_name = or_(
                deployment.c.name.icontains(part, autoescape=True),
                deployment.c.flow_id.in_(flows),
            )
    queued = None
    if filter.work_queue_name is not None and filter.work_queue_name.any_ is not None:
        queues = select(work_queue.c.id).where(work_queue.c.name.in_(filter.work_queue_name.any_))
        queued = deployment.c.work_queue_id.in_(queues)
    paused = None if filter.paused is None else filter.paused.eq_
    return joined_parts(
        filter,
        id=ids_condition(deployment.c.id, filter.id),
        name=_names(deployment.c.name, filter.name),
        flow_or_deployment_name=either_name,
        paused=None if paused is None else deployment.c.paused.is_(paused),
        tags=_tags(deployment, deployment_tag.c.deployment_id, filter.tags),
        work_queue_name=queued,
        concurrency_limit=_limited(filter.concurrency_limit),
    )


def _limited(filter: wire.DeploymentFilterConcurrencyLimit | None) -> Condition | None:
    if filter is None:
        return None
    limits = select(concurrency_limit.c.id)
    limit, of = concurrency_limit.c.limit, deployment.c.concurrency_limit_id
    conditions = [
        None if filter.ge_ is None else of.in_(limits.where(limit >= filter.ge_)),
        None if filter.le_ is None else of.in_(limits.where(limit <= filter.le_)),
        _is_null(of, filter.is_null_),
    ]
    return joined(filter, conditions)


def work_pool_condition(filter: wire.WorkPoolFilter | None) -> Condition | None:
    """Which work pools."""
    if filter is None:
        return None
    return joined_parts(
        filter,
        id=ids_condition(work_pool.c.id, filter.id),
        name=_names(work_pool.c.name, filter.name),
        type=None if filter.type is None else _among(work_pool.c.type, filter.type.any_),
    )


def work_queue_condition(filter: wire.WorkQueueFilter | None) -> Condition | None:
    """Which work queues."""
    if filter is None:
        return None
    named = None
    if filter.name is not None:
        starts = filter.name.startswith_
        begins = [work_queue.c.name.startswith(t, autoescape=True) for t in starts or ()]
        begins_so = None if starts is None else or_(false(), *begins)
        named = joined(filter.name, [_among(work_queue.c.name, filter.name.any_), begins_so])
    return joined_parts(filter, id=ids_condition(work_queue.c.id, filter.id), name=named)


def variable_condition(filter: wire.VariableFilter | None) -> Condition | None:
    """Which variables."""
    if filter is None:
        return None
    tagged_so = None
    if (tags := filter.tags) is not None:
        # Variables are few: their tags need no side table.
        of = variable.c.tags
        has = [holds_text(of, literal(tag)) for tag in tags.all_ or []]
        all_of = and_(*has) if has else None
        untagged = of == documents.EMPTY_ARRAY
        none = None if tags.is_null_ is None else untagged if tags.is_null_ else ~untagged
        tagged_so = joined(tags, [all_of, none])
    return joined_parts(
        filter,
        id=ids_condition(variable.c.id, filter.id),
        name=_names(variable.c.name, filter.name),
        tags=tagged_so,
    )


def artifact_condition(
    filter: wire.ArtifactFilter | wire.ArtifactCollectionFilter | None,
) -> Condition | None:
    """Which artifacts; those that are the newest of their key also by a filter of keys."""
    if filter is None:
        return None
    if isinstance(filter, wire.ArtifactFilter):
        by_id, key = ids_condition(artifact.c.id, filter.id), artifact.c.key
    else:
        by_id = ids_condition(artifact.c.id, filter.latest_id)
        key = artifact_collection.c.key
    keyed = None
    if filter.key is not None:
        exists = None if filter.key.exists_ is None else _is_null(key, not filter.key.exists_)
        keyed = joined(filter.key, [_names(key, filter.key), exists])
    parts = {
        "id" if isinstance(filter, wire.ArtifactFilter) else "latest_id": by_id,
        "key": keyed,
        "flow_run_id": ids_condition(artifact.c.flow_run_id, filter.flow_run_id),
        "task_run_id": ids_condition(artifact.c.task_run_id, filter.task_run_id),
        "type": _names(artifact.c.type, filter.type),
    }
    return joined_parts(filter, **parts)
