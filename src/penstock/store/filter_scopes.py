"""Filters of several resources in one body: flow runs of these flows, flows with such runs, ...

A filter that is there but empty still asks that there is such a row: `deployments: {}` leaves out
the runs of no deployment.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, exists, literal_column, select, text

from penstock.contract.enums import Operator, StateType
from penstock.contract.rest import filters as wire
from penstock.contract.rest.wire import WireModel
from penstock.core.errors import InvalidInput
from penstock.core.states import default_name
from penstock.store.filters import (
    Condition,
    among,
    artifact_condition,
    deployment_condition,
    flow_condition,
    flow_run_condition,
    holders_of_keys,
    ids_condition,
    subflow_condition,
    tagged,
    task_run_condition,
    work_pool_condition,
    work_queue_condition,
)
from penstock.store.tables import (
    UNUSUAL_NAME,
    artifact,
    deployment,
    flow,
    flow_run,
    flow_run_tag,
    task_run,
    work_pool,
    work_queue,
)

#: states that have the name of their type
USUAL_NAMES = {default_name(type) for type in StateType}
#: values of all lists of one body together; a statement of SQLite takes 32,766
MAX_VALUES = 30_000


class Scope(NamedTuple):
    """The filters of one body, whichever of them it has; None asks for nothing."""

    flows: wire.FlowFilter | None = None
    flow_runs: wire.FlowRunFilter | None = None
    task_runs: wire.TaskRunFilter | None = None
    deployments: wire.DeploymentFilter | None = None
    work_pools: wire.WorkPoolFilter | None = None
    work_queues: wire.WorkQueueFilter | None = None


def scope_of(body: wire.RunFilters, own: WireModel | None = None) -> Scope:
    """The filters of a body. Raises InvalidInput when they list more values than a query takes,
    together with its `own` filter, which is of none of the scope's resources."""
    queues = getattr(body, "work_pool_queues", None) or getattr(body, "work_queues", None)
    scope = Scope(
        body.flows,
        body.flow_runs,
        body.task_runs,
        body.deployments,
        getattr(body, "work_pools", None),
        queues,
    )
    values = sum(_values(f) for f in (*scope, own) if f is not None)
    if values > MAX_VALUES:
        raise InvalidInput(f"The filters list {values} values together, more than {MAX_VALUES}")
    return scope


def _values(part: Any) -> int:
    if isinstance(part, list):
        return len(part)
    if not isinstance(part, WireModel):
        return 0
    return sum(_values(getattr(part, name)) for name in part.model_fields_set)


def _where(query: Select[Any], condition: Condition | None) -> Select[Any]:
    return query if condition is None else query.where(condition)


def _flows(filter: wire.FlowFilter) -> Select[Any]:
    return _where(select(flow.c.id), flow_condition(filter)).correlate(None)


def _deployments(filter: wire.DeploymentFilter) -> Select[Any]:
    return _where(select(deployment.c.id), deployment_condition(filter)).correlate(None)


def _queues(scope: Scope) -> Select[Any] | None:
    """The ids of the queues that the scope's pools and queues allow; None when it names neither."""
    if scope.work_pools is None and scope.work_queues is None:
        return None
    query = _where(select(work_queue.c.id), work_queue_condition(scope.work_queues))
    if scope.work_pools is not None:
        pools = _where(select(work_pool.c.id), work_pool_condition(scope.work_pools))
        query = query.where(work_queue.c.work_pool_id.in_(pools))
    return query


def _has(query: Select[Any], *outer: Any) -> Condition:
    return exists(query.correlate(*outer))


# ------------------------------------------------------------------ what lists are about


def flow_conditions(scope: Scope) -> list[Condition]:
    """What a flow must fulfil."""
    found = [flow_condition(scope.flows)]
    if scope.flow_runs is not None:
        runs = select(flow_run.c.id).where(flow_run.c.flow_id == flow.c.id)
        found.append(_has(_where(runs, flow_run_condition(scope.flow_runs)), flow))
    if scope.task_runs is not None:
        tasks = _where(select(task_run.c.flow_run_id), task_run_condition(scope.task_runs))
        runs = select(flow_run.c.flow_id).where(flow_run.c.id.in_(tasks))
        found.append(flow.c.id.in_(runs))
    if scope.deployments is not None:
        of_flow = select(deployment.c.id).where(deployment.c.flow_id == flow.c.id)
        found.append(_has(_where(of_flow, deployment_condition(scope.deployments)), flow))
    if (queues := _queues(scope)) is not None:
        queued = select(deployment.c.flow_id).where(deployment.c.work_queue_id.in_(queues))
        found.append(flow.c.id.in_(queued))
    return [c for c in found if c is not None]


def flow_run_conditions(scope: Scope) -> list[Condition]:
    """What a flow run must fulfil."""
    found = [flow_run_condition(scope.flow_runs)]
    if scope.flows is not None:
        found.append(flow_run.c.flow_id.in_(_flows(scope.flows)))
    if scope.task_runs is not None:
        tasks = select(task_run.c.id).where(task_run.c.flow_run_id == flow_run.c.id)
        found.append(_has(_where(tasks, task_run_condition(scope.task_runs)), flow_run))
    if scope.deployments is not None:
        found.append(flow_run.c.deployment_id.in_(_deployments(scope.deployments)))
    if (queues := _queues(scope)) is not None:
        found.append(flow_run.c.work_queue_id.in_(queues))
    return [c for c in found if c is not None]


def task_run_conditions(scope: Scope) -> list[Condition]:
    """What a task run must fulfil."""
    found = [task_run_condition(scope.task_runs)]
    of_run = scope._replace(task_runs=None)
    if any(part is not None for part in of_run):
        conditions = flow_run_conditions(of_run)
        named = scope.flow_runs is not None and scope.flow_runs.id is not None
        if named and scope.flow_runs.id.any_ is not None:  # type: ignore[union-attr]  # see named
            runs = select(flow_run.c.id).where(*conditions)
            found.append(task_run.c.flow_run_id.in_(runs))
        else:
            runs = select(flow_run.c.id).where(flow_run.c.id == task_run.c.flow_run_id)
            found.append(_has(runs.where(*conditions), task_run))
    return [c for c in found if c is not None]


def deployment_conditions(scope: Scope) -> list[Condition]:
    """What a deployment must fulfil."""
    found = [deployment_condition(scope.deployments)]
    if scope.flows is not None:
        found.append(deployment.c.flow_id.in_(_flows(scope.flows)))
    runs = select(flow_run.c.id).where(flow_run.c.deployment_id == deployment.c.id)
    if scope.flow_runs is not None:
        found.append(_has(_where(runs, flow_run_condition(scope.flow_runs)), deployment))
    if scope.task_runs is not None:
        tasks = _where(select(task_run.c.flow_run_id), task_run_condition(scope.task_runs))
        found.append(_has(runs.where(flow_run.c.id.in_(tasks)), deployment))
    if (queues := _queues(scope)) is not None:
        found.append(deployment.c.work_queue_id.in_(queues))
    return [c for c in found if c is not None]


def artifact_conditions(
    scope: Scope, filter: wire.ArtifactFilter | wire.ArtifactCollectionFilter | None
) -> list[Condition]:
    """What an artifact must fulfil; with a collection's filter, the newest one of a key."""
    found = [artifact_condition(filter)]
    of_run = scope._replace(task_runs=None)
    if any(part is not None for part in of_run):
        runs = select(flow_run.c.id).where(flow_run.c.id == artifact.c.flow_run_id)
        found.append(_has(runs.where(*flow_run_conditions(of_run)), artifact))
    if scope.task_runs is not None:
        tasks = select(task_run.c.id).where(task_run.c.id == artifact.c.task_run_id)
        found.append(_has(_where(tasks, task_run_condition(scope.task_runs)), artifact))
    return [c for c in found if c is not None]


# ------------------------------------------------------------------ where to start looking

PRIMARY_KEY = "sqlite_autoindex_flow_run_1"


class Start(NamedTuple):
    """A part of the criteria that an index of flow runs answers alone."""

    by: str
    #: holds whenever the whole filter holds
    condition: Condition
    #: rows that fulfil it; None where they cannot be many
    rows: Select[Any] | None
    #: it asks for one value only, whose rows the index has in order of `expected_start_time`
    single: bool = False


def starts_of(scope: Scope) -> list[Start]:
    """The ways into the runs of a scope by an index, those that are surely short first."""
    starts = []
    run = flow_run.c

    if scope.task_runs is not None and scope.task_runs.id is not None and _all(scope.task_runs):
        tasks = _where(select(task_run.c.flow_run_id), task_run_condition(scope.task_runs))
        starts.append(Start(PRIMARY_KEY, run.id.in_(tasks), None))
    if scope.flow_runs is not None and _all(scope.flow_runs):
        starts += _starts_of_runs(scope.flow_runs)
    if scope.deployments is not None and deployment_condition(scope.deployments) is not None:
        condition = run.deployment_id.in_(_deployments(scope.deployments))
        starts.append(_counted("ix_flow_run_deployment_id", condition))
    if scope.flows is not None and flow_condition(scope.flows) is not None:
        condition = run.flow_id.in_(_flows(scope.flows))
        starts.append(_counted("ix_flow_run_flow_id", condition))
    return sorted(starts, key=lambda s: s.rows is not None)


def _all(filter: Any) -> bool:
    return getattr(filter, "operator", Operator.and_) is Operator.and_


def _starts_of_runs(filter: wire.FlowRunFilter) -> list[Start]:
    starts = []
    run = flow_run.c
    ids, key = filter.id, filter.idempotency_key
    if ids is not None and ids.any_ is not None:
        starts.append(Start(PRIMARY_KEY, run.id.in_(ids.any_), None))
    if key is not None and key.any_ is not None:
        starts.append(Start(PRIMARY_KEY, run.id.in_(holders_of_keys(key.any_)), None))
    task, parent = filter.parent_task_run_id, filter.parent_flow_run_id
    for condition, wanted in (
        (ids_condition(run.parent_task_run_id, task), task),
        (subflow_condition(parent), parent),
    ):
        if (
            condition is not None
            and wanted is not None
            and wanted.any_ is not None
            and _all(wanted)
        ):
            starts.append(Start("ix_flow_run_parent_task_run_id", condition, None))
    of = filter.deployment_id
    if of is not None and of.any_ is not None and _all(of):
        condition = among(run.deployment_id, of.any_)
        starts.append(_counted("ix_flow_run_deployment_id", condition, of.any_))
    return starts + _starts_of_kinds(filter)


def _counted(index: str, condition: Condition, values: Sequence[Any] = ()) -> Start:
    rows: Select[Any] = select(literal_column("1")).select_from(flow_run).where(condition)
    return Start(index, condition, rows, single=len(values) == 1)


def _starts_of_kinds(filter: wire.FlowRunFilter) -> list[Start]:
    starts = []
    run = flow_run.c
    state, tags, expected = filter.state, filter.tags, filter.expected_start_time
    if state is not None and state.type is not None and _all(state) and state.type.any_ is not None:
        types = [str(t) for t in state.type.any_]
        starts.append(_counted("ix_flow_run_state_type", among(run.state_type, types), types))
    if state is not None and state.name is not None and _all(state) and state.name.any_:
        names = [str(n) for n in state.name.any_]
        if not set(names) & USUAL_NAMES:
            unusual = and_(text(UNUSUAL_NAME), among(run.state_name, names))
            starts.append(_counted("ix_flow_run_unusual_name", unusual, names))
    if tags is not None and _all(tags) and (tags.all_ or tags.any_):
        side = flow_run_tag.c.flow_run_id
        holders = tagged(side, tags.all_ or tags.any_ or [], all_of=bool(tags.all_))
        starts.append(Start(PRIMARY_KEY, run.id.in_(holders), holders))
    if expected is not None and (expected.after_ is not None or expected.before_ is not None):
        time = run.expected_start_time
        bounds = [time >= expected.after_] if expected.after_ is not None else []
        bounds += [time <= expected.before_] if expected.before_ is not None else []
        starts.append(_counted("ix_flow_run_expected_start_time", _every(bounds)))
    return starts


def _every(conditions: list[Condition]) -> Condition:
    first, *more = conditions
    for condition in more:
        first = first & condition
    return first
