"""Subflows: in the flow run around it, a called flow or deployment stands as a task run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.sdk import ids
from penstock.sdk.context import current_flow_run
from penstock.sdk.states import PENDING
from penstock.sdk.task_events import TaskRunReport

if TYPE_CHECKING:
    from penstock.sdk.flow_runs import LiveFlowRun


def parent_task_run_id(flow_name: str) -> str | None:
    """The id of a new task run that stands for a run of this flow; None outside of flow runs.

    The server has it when this returns, and has it follow the states of the subflow's run.
    """
    parent = current_flow_run.get()
    return None if parent is None else _report(parent, flow_name)


def _report(parent: LiveFlowRun, flow_name: str) -> str:
    task_key = f"subflow-{flow_name}"
    number = str(parent.next_task_number(task_key))
    id = ids.task_run_id(parent.id, task_key, number)
    name = f"{flow_name}-{number}"
    keys = {"name": name, "task_key": task_key, "dynamic_key": number}
    report = TaskRunReport(parent.reporter, parent.related, id, name, keys)
    report.enter(
        PENDING,
        {"tags": [], "labels": {}, "task_inputs": {}, "flow_run_run_count": parent.run_count},
    )
    parent.reporter.flush()
    return id
