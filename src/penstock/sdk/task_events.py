"""Task runs as the server hears of them: one event per state (rest-v3 §6.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from penstock.sdk.ids import time_ordered_id
from penstock.sdk.states import FINAL_TYPES, State

if TYPE_CHECKING:
    from penstock.sdk.reporter import Reporter

_TICK = timedelta(microseconds=1)


def related_resources(
    flow_run_id: str, flow_run_name: str, flow_id: str, flow_name: str, tags: Sequence[str]
) -> orjson.Fragment:
    """The part that all task events of a flow run share, encoded once."""
    related = [
        _related(f"prefect.flow-run.{flow_run_id}", "flow-run", flow_run_name),
        _related(f"prefect.flow.{flow_id}", "flow", flow_name),
        *(_related(f"prefect.tag.{tag}", "tag", tag) for tag in tags),
    ]
    return orjson.Fragment(orjson.dumps(related))


def _related(resource_id: str, role: str, name: str) -> dict[str, str]:
    return {
        "prefect.resource.id": resource_id,
        "prefect.resource.role": role,
        "prefect.resource.name": name,
    }


def retry_policy(retries: int, delay: float | Sequence[float] | None) -> dict[str, Any] | None:
    """The `empirical_policy` of a task run, in whole seconds as the wire wants them."""
    if not retries:
        return None
    if isinstance(delay, Sequence):
        return {"retries": retries, "retry_delay": [math.ceil(seconds) for seconds in delay]}
    return {"retries": retries, "retry_delay": math.ceil(delay or 0)}


class TaskRunReport:
    """Turns the states of one task run into events and hands them to the reporter."""

    __slots__ = (
        "_follows",
        "_keys",
        "_name",
        "_previous",
        "_related",
        "_reporter",
        "_resource_id",
        "_running_since",
        "_started_at",
        "_total_seconds",
        "_when",
        "run_count",
    )

    def __init__(
        self,
        reporter: Reporter,
        related: orjson.Fragment,
        task_run_id: str,
        name: str,
        keys: Mapping[str, Any],
    ) -> None:
        #: how often the body was started
        self.run_count = 0
        self._reporter = reporter
        self._related = related
        self._resource_id = "prefect.task-run." + task_run_id
        self._name = name
        self._keys = keys
        self._previous: dict[str, Any] | None = None
        self._follows: str | None = None
        self._when: datetime | None = None
        self._running_since: datetime | None = None
        self._started_at: str | None = None
        self._total_seconds = 0.0

    def enter(self, state: State, first_fields: Mapping[str, Any] | None = None) -> None:
        """Reports a state; `first_fields` describe the task run in its first event."""
        now = datetime.now(UTC)
        if self._when is not None and now <= self._when:
            now = self._when + _TICK  # the server orders the states of a run by their times
        self._when = now
        occurred = now.isoformat(timespec="microseconds")
        task_run = {**self._keys, **self._bookkeeping(state, now, occurred)}
        if first_fields:
            task_run.update(first_fields, expected_start_time=occurred)
        self._send(state, occurred, task_run)

    def _bookkeeping(self, state: State, now: datetime, occurred: str) -> dict[str, Any]:
        if self._running_since is not None:
            self._total_seconds += (now - self._running_since).total_seconds()
            self._running_since = None
        fields: dict[str, Any] = {"run_count": self.run_count}
        if state.type == "RUNNING":
            self.run_count += 1
            self._running_since = now
            self._started_at = self._started_at or occurred
            fields = {"run_count": self.run_count, "start_time": self._started_at}
        elif state.type in FINAL_TYPES:
            fields["start_time"] = self._started_at or occurred
            fields["end_time"] = occurred
            fields["total_run_time"] = self._total_seconds
        return fields

    def _send(self, state: State, occurred: str, task_run: dict[str, Any]) -> None:
        event_id = time_ordered_id()
        message = state.message or ""
        body = _state_body(state)
        self._reporter.add_event(
            {
                "id": event_id,
                "occurred": occurred,
                "event": "prefect.task-run." + state.name,
                "follows": self._follows,
                "resource": {
                    "prefect.resource.id": self._resource_id,
                    "prefect.resource.name": self._name,
                    "prefect.run-count": str(task_run["run_count"]),
                    "prefect.state-message": message,
                    "prefect.state-name": state.name,
                    "prefect.state-timestamp": occurred,
                    "prefect.state-type": state.type,
                    "prefect.orchestration": "client",
                },
                "related": self._related,
                "payload": {
                    "intended": {
                        "from": self._previous["type"] if self._previous else None,
                        "to": state.type,
                    },
                    "initial_state": self._previous,
                    "validated_state": body,
                    "task_run": task_run,
                },
            }
        )
        self._follows = event_id
        self._previous = body


def _state_body(state: State) -> dict[str, Any]:
    due = state.scheduled_time
    return {
        "type": state.type,
        "name": state.name,
        "message": state.message or "",
        "state_details": {"scheduled_time": due} if due is not None else {},
    }
