"""What ran within a flow run and took whose results: statements, and rows -> the two shapes.

Each graph takes the same few statements however many nodes it has.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, func, or_, select

from penstock.core import documents
from penstock.core.errors import BadRequest
from penstock.store.column_types import Time
from penstock.store.statements import Row, Statement
from penstock.store.tables import artifact, artifact_collection, flow, flow_run, state, task_run
from penstock.store.task_run_lists import SELECT_TASK_RUNS, task_run_shape
from penstock.store.transaction import Transaction

#: nodes of a graph, and artifacts in it
MAX_NODES = 10_000
MAX_ARTIFACTS = 10_000
#: the input under which tasks within a task name the one around them
AROUND = "__parents__"

_RUN: BindParameter[Any] = bindparam("flow_run_id")
_SELECT_RUN = Statement(
    select(flow_run.c.start_time, flow_run.c.end_time).where(flow_run.c.id == _RUN)
)
_subflow = flow_run.alias("subflow")


def _started(table: Any) -> Any:
    return func.coalesce(table.c.start_time, table.c.expected_start_time, type_=Time)


_SELECT_NODES = Statement(
    select(
        task_run.c.id,
        task_run.c.name,
        task_run.c.state_type,
        _started(task_run).label("start_time"),
        task_run.c.end_time,
        task_run.c.task_inputs,
        _subflow.c.id.label("subflow_id"),
        _subflow.c.name.label("subflow_name"),
        _subflow.c.state_type.label("subflow_state_type"),
        _started(_subflow).label("subflow_start_time"),
        _subflow.c.end_time.label("subflow_end_time"),
        flow.c.name.label("flow_name"),
    )
    .select_from(task_run)
    .outerjoin(_subflow, _subflow.c.parent_task_run_id == task_run.c.id)
    .outerjoin(flow, flow.c.id == _subflow.c.flow_id)
    .where(task_run.c.flow_run_id == _RUN)
    .limit(MAX_NODES + 1)
)
_SELECT_ARTIFACTS = Statement(
    select(
        artifact.c.id,
        artifact.c.created,
        artifact.c.key,
        artifact.c.type,
        artifact.c.data,
        artifact.c.task_run_id,
        artifact_collection.c.id.label("collection_id"),
    )
    .select_from(artifact)
    .outerjoin(
        artifact_collection,
        (artifact_collection.c.key == artifact.c.key)
        & (artifact_collection.c.latest_id == artifact.c.id),
    )
    .where(
        artifact.c.flow_run_id == _RUN,
        or_(artifact.c.type.is_(None), artifact.c.type != "result"),
    )
    .order_by(artifact.c.created.desc(), artifact.c.id.desc())
    .limit(MAX_ARTIFACTS)
)
_SELECT_STATES = Statement(
    select(state.c.id, state.c.timestamp, state.c.type, state.c.name)
    .where(state.c.run_id == _RUN, state.c.task_run_id.is_(None))
    .order_by(state.c.timestamp, state.c.id)
)
_SELECT_TASK_RUNS = Statement(
    SELECT_TASK_RUNS.where(task_run.c.flow_run_id == _RUN)
    .order_by(task_run.c.expected_start_time, task_run.c.id)
    .limit(MAX_NODES + 1)
)


def select_flow_run_graph(
    tx: Transaction, flow_run_id: UUID, since: datetime
) -> dict[str, Any] | None:
    """The Graph of a flow run; None when there is no such run.

    Nodes that had ended before `since` are left out. Raises BadRequest for more than MAX_NODES.
    """
    run = tx.row(_SELECT_RUN, flow_run_id=flow_run_id)
    if run is None:
        return None
    rows = _bounded(tx.rows(_SELECT_NODES, flow_run_id=flow_run_id))
    nodes = _nodes(rows)
    of_run: list[Any] = []
    for row in reversed(tx.rows(_SELECT_ARTIFACTS, flow_run_id=flow_run_id)):
        if row.task_run_id is None:
            of_run.append(_artifact_shape(row))
        elif (maker := nodes.get(str(row.task_run_id))) is not None:
            maker["artifacts"].append(_artifact_shape(row))
    shown = [n for n in nodes.values() if n["end_time"] is None or n["end_time"] >= since]
    shown.sort(key=lambda n: (n["start_time"], n["id"]))
    return {
        "start_time": run.start_time,
        "end_time": run.end_time,
        "root_node_ids": [n["id"] for n in shown if not n["parents"]],
        "nodes": [(n["id"], n) for n in shown],
        "artifacts": of_run,
        "states": [r._asdict() for r in tx.rows(_SELECT_STATES, flow_run_id=flow_run_id)],
    }


def _bounded(rows: list[Row]) -> list[Row]:
    if len(rows) > MAX_NODES:
        raise BadRequest(f"The graph has more than {MAX_NODES} nodes")
    return rows


def _nodes(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Nodes by the id of their task run (a subflow run's: of the one it stands in for), linked."""
    nodes = {}
    by_any_id = {}
    for row in rows:
        node = _node(row)
        if node["state_type"] is not None and node["start_time"] is not None:
            nodes[str(row.id)] = by_any_id[str(row.id)] = by_any_id[str(node["id"])] = node
    children = defaultdict(list)
    linked = set()
    for row in rows:
        taker = nodes.get(str(row.id))
        if taker is None:
            continue
        for name, ids in _upstream(row.task_inputs, ("task_run", "flow_run")):
            kind = "encapsulating" if name == AROUND else "parents"
            for id in ids:
                giver = by_any_id.get(id)
                if giver is None or giver is taker:
                    continue
                link = (kind, giver["id"], taker["id"])
                if link in linked:
                    continue
                linked.add(link)
                taker[kind].append({"id": giver["id"]})
                if kind == "parents":
                    children[giver["id"]].append({"id": taker["id"]})
    for node in nodes.values():
        node["children"] = children[node["id"]]
    return nodes


def _node(row: Row) -> dict[str, Any]:
    is_subflow = row.subflow_id is not None
    return {
        "kind": "flow-run" if is_subflow else "task-run",
        "id": row.subflow_id if is_subflow else row.id,
        "label": f"{row.flow_name} / {row.subflow_name}" if is_subflow else row.name,
        "state_type": row.subflow_state_type if is_subflow else row.state_type,
        "start_time": row.subflow_start_time if is_subflow else row.start_time,
        "end_time": row.subflow_end_time if is_subflow else row.end_time,
        "parents": [],
        "children": [],
        "encapsulating": [],
        "artifacts": [],
    }


def _upstream(task_inputs: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Each input's name, and the ids of the runs of these kinds whose results it takes."""
    if task_inputs == documents.EMPTY_OBJECT:
        return
    inputs = documents.load(task_inputs)
    for name, given in inputs.items() if isinstance(inputs, dict) else ():
        parts = given if isinstance(given, list) else []
        runs = [p for p in parts if isinstance(p, dict) and str(p.get("input_type")) in kinds]
        yield name, [str(p.get("id")) for p in runs]


def _artifact_shape(row: Row) -> dict[str, Any]:
    # Only a bar's progress is drawn in the graph; other data may be large.
    drawn = row.type == "progress" and row.data is not None
    return {
        "id": row.id,
        "created": row.created,
        "key": row.key,
        "type": row.type,
        "is_latest": row.key is None or row.collection_id is not None,
        "data": documents.Fragment(row.data) if drawn else None,
    }


def select_task_run_dependencies(
    tx: Transaction, flow_run_id: UUID, now: datetime
) -> list[dict[str, Any]] | None:
    """A DependencyResult for each task run of a flow run; None when there is no such run.

    Raises BadRequest for more than MAX_NODES.
    """
    if tx.row(_SELECT_RUN, flow_run_id=flow_run_id) is None:
        return None
    rows = _bounded(tx.rows(_SELECT_TASK_RUNS, flow_run_id=flow_run_id))
    return [_dependency_shape(row, now) for row in rows]


def _dependency_shape(row: Row, now: datetime) -> dict[str, Any]:
    shape = task_run_shape(row, now)
    details = shape["state"]["state_details"] if shape["state"] else {}
    ids = [id for _, ids in _upstream(row.task_inputs, ("task_run",)) for id in ids]
    kept = ("id", "name", "state", "expected_start_time", "start_time", "end_time")
    return {name: shape[name] for name in (*kept, "total_run_time", "estimated_run_time")} | {
        "upstream_dependencies": [
            {"input_type": "task_run", "id": id} for id in dict.fromkeys(ids)
        ],
        "untrackable_result": bool(details.get("untrackable_result")),
    }
