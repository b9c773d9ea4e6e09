"""The event that the contract has for each new state of a flow run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

MAX_MESSAGE = 100_000
MAX_REMEMBERED = 5_000
#: two states further apart than this are not linked by `follows`
_CLOSE = timedelta(minutes=5)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueueNames:
    """What the events of a run say of its work queue and work pool."""

    name: str
    pool_id: UUID
    pool_name: str
    pool_type: str


@dataclass(slots=True)
class Names:
    """Names by id, as far as they are known."""

    flows: dict[UUID, str] = field(default_factory=dict)
    deployments: dict[UUID, str] = field(default_factory=dict)
    queues: dict[UUID, QueueNames] = field(default_factory=dict)
    #: what runs of one kind are related to; most runs of a deployment share it
    related: dict[tuple[Any, ...], list[dict[str, str]]] = field(default_factory=dict)

    def learn(self, more: "Names") -> None:
        """Take in further names."""
        self.flows |= more.flows
        self.deployments |= more.deployments
        self.queues |= more.queues
        self.related.clear()


def flow_run_event(told: Mapping[str, Any], names: Names, now: datetime) -> Event:
    """The event of a run's new state, as the wire has it.

    `told` is what the outbox says: ids and times as objects, or as text after a restart. A name
    that is not known leaves its label out.
    """
    run, state, previous = told["run"], told["state"], told["from"]
    occurred = as_time(state["timestamp"])
    return {
        "occurred": occurred,
        "event": f"prefect.flow-run.{state['name']}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(run["run_count"]),
            "prefect.state-message": (state["message"] or "")[:MAX_MESSAGE],
            "prefect.state-name": state["name"],
            "prefect.state-timestamp": occurred.isoformat(timespec="microseconds"),
            "prefect.state-type": state["type"],
        },
        "related": _related(run, names),
        "payload": {
            "intended": {"from": previous and previous["type"], "to": state["type"]},
            "initial_state": None if previous is None else _state(previous),
            "validated_state": _state(state),
        },
        "id": as_id(state["id"]),
        "follows": _follows(previous, occurred),
        "received": now,
    }


def _follows(previous: Mapping[str, Any] | None, occurred: datetime) -> UUID | None:
    if previous is None or occurred - as_time(previous["timestamp"]) >= _CLOSE:
        return None
    return as_id(previous["id"])


def _state(state: Mapping[str, Any]) -> dict[str, str]:
    shape = {"type": state["type"], "name": state["name"]}
    if state["message"]:
        shape["message"] = state["message"][:MAX_MESSAGE]
    if state["type"] == "PAUSED":
        shape["pause_reschedule"] = "true" if state.get("pause_reschedule") else "false"
    return shape


def _related(run: Mapping[str, Any], names: Names) -> list[dict[str, str]]:
    """The related resources of a run's events; a list that several events may share."""
    if run["parent_task_run_id"] is not None:
        return _find_related(run, names)
    key = (run["flow_id"], run["deployment_id"], run["work_queue_id"], *run["tags"])
    related = names.related.get(key)
    if related is None:
        if len(names.related) >= MAX_REMEMBERED:
            names.related.clear()
        related = names.related[key] = _find_related(run, names)
    return related


def _find_related(run: Mapping[str, Any], names: Names) -> list[dict[str, str]]:
    flow_id = as_id(run["flow_id"])
    related = [_resource("flow", flow_id, names.flows.get(flow_id))]
    if run["deployment_id"] is not None:
        id = as_id(run["deployment_id"])
        related.append(_resource("deployment", id, names.deployments.get(id)))
    if run["work_queue_id"] is not None:
        id = as_id(run["work_queue_id"])
        queue = names.queues.get(id)
        related.append(_resource("work-queue", id, queue.name if queue else None))
        if queue is not None:
            pool = _resource("work-pool", queue.pool_id, queue.pool_name)
            related.append(pool | {"prefect.work-pool.type": queue.pool_type})
    if run["parent_task_run_id"] is not None:
        related.append(_resource("task-run", as_id(run["parent_task_run_id"]), None))
    related += [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in sorted(run["tags"])
    ]
    return related


def _resource(kind: str, id: UUID, name: str | None) -> dict[str, str]:
    resource = {"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": kind}
    if name is not None:
        resource["prefect.resource.name"] = name
    return resource


def as_id(value: Any) -> UUID:
    """An id that may have been text in between."""
    return value if isinstance(value, UUID) else UUID(value)


def as_time(value: Any) -> datetime:
    """A UTC time that may have been text in between."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
