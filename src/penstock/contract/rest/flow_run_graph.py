"""The graph of a flow run: wire shapes of `/flow_runs/{id}/graph` and `/graph-v2`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from penstock.contract.enums import StateType
from penstock.contract.rest.states import State
from penstock.contract.rest.task_runs import TaskRunResult
from penstock.contract.rest.wire import WireAnswer


class DependencyResult(WireAnswer):
    """A task run and the task runs whose results it takes."""

    id: UUID
    name: str
    upstream_dependencies: list[TaskRunResult]
    state: State | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float | None
    estimated_run_time: float | None
    untrackable_result: bool


class GraphState(WireAnswer):
    """A state the flow run was in."""

    id: UUID
    timestamp: datetime
    type: StateType
    name: str


class GraphArtifact(WireAnswer):
    """An artifact made by the run or one of its tasks."""

    id: UUID
    created: datetime
    key: str | None
    type: str | None
    is_latest: bool
    data: Any | None


class Edge(WireAnswer):
    """A link to another node."""

    id: UUID


class Node(WireAnswer):
    """A task run or subflow run in the graph."""

    kind: Literal["flow-run", "task-run"]
    id: UUID
    label: str
    state_type: StateType
    start_time: datetime
    end_time: datetime | None
    parents: list[Edge]
    children: list[Edge]
    encapsulating: list[Edge]
    artifacts: list[GraphArtifact]


class Graph(WireAnswer):
    """What ran within a flow run, and in which order."""

    start_time: datetime | None
    end_time: datetime | None
    root_node_ids: list[UUID]
    nodes: list[tuple[UUID, Node]]
    artifacts: list[GraphArtifact]
    states: list[GraphState]
