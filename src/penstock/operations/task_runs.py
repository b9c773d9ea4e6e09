"""The recorder: what clients report of their task runs becomes task runs and states."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.core import documents
from penstock.core.errors import Gone
from penstock.core.states import StateType
from penstock.core.task_run_reports import TaskRunReport, is_newer
from penstock.store.statements import Row
from penstock.store.task_runs import (
    insert_states_once,
    lock_reports,
    replace_task_run_tags,
    select_attempt_holder,
    select_task_runs_by_ids,
    select_task_runs_by_keys,
    task_run_values,
    task_state_values,
    upsert_task_runs,
)
from penstock.store.transaction import Transaction

#: the flow run's id, task key and dynamic key; a task run outside flow runs: None and its own id
Key = tuple[UUID | None, Any, Any]

#: a run without its attempt in one of these is somebody else's, or nobody's
_WITHOUT_ITS_PROCESS = (
    StateType.CRASHED,
    StateType.SCHEDULED,
    StateType.PENDING,
    StateType.RUNNING,
    StateType.CANCELLING,
)


def record_task_run_events(
    tx: Transaction, reports: Sequence[TaskRunReport], now: datetime, attempt: UUID | None = None
) -> None:
    """Record reports in any order; those that were recorded before change nothing.

    All states are kept; a task run's own columns follow its newest report. Gone when `attempt`
    no longer executes the flow run of a report; nothing is recorded then.
    """
    flow_runs = _flow_runs(reports)
    for flow_run_id in flow_runs:
        lock_reports(tx, flow_run_id)
    if attempt is not None:
        refuse_lost_attempt(tx, reports, attempt)
    by_run: dict[Key, list[TaskRunReport]] = {}
    for report in reports:
        by_run.setdefault(_key(report), []).append(report)
    known = _known(tx, flow_runs, by_run)
    rows, states, tags = [], [], []
    for key, said in by_run.items():
        said.sort(key=lambda r: r.state.timestamp)
        row = known.get(key)
        id = said[0].task_run_id if row is None else row.id
        changes = _changes(row, said)
        if changes:
            rows.append(task_run_values(row, id, changes, now))
            if "tags" in changes:
                old = [] if row is None else documents.load(row.tags)
                tags.append((id, old, documents.load(changes["tags"])))
        states += [task_state_values(r.state, r.flow_run_id or id, id) for r in said]
    upsert_task_runs(tx, rows)
    insert_states_once(tx, states)
    replace_task_run_tags(tx, tags)


def refuse_lost_attempt(tx: Transaction, reports: Sequence[TaskRunReport], attempt: UUID) -> None:
    """Raise Gone when the attempt no longer executes the flow run of a report."""
    for flow_run_id in _flow_runs(reports):
        run = select_attempt_holder(tx, flow_run_id)
        if run is None:
            continue
        lost = run.attempt_expires_at is None and run.state_type in _WITHOUT_ITS_PROCESS
        if run.attempt_id != attempt or lost:
            raise Gone(f"The attempt {attempt} no longer executes the flow run {flow_run_id}")


def _flow_runs(reports: Sequence[TaskRunReport]) -> list[UUID]:
    return sorted({r.flow_run_id for r in reports if r.flow_run_id is not None})


def _key(report: TaskRunReport) -> Key:
    if report.flow_run_id is None:
        return None, report.task_run_id, None
    return report.flow_run_id, report.task_key, report.dynamic_key


def _known(tx: Transaction, flow_runs: Sequence[UUID], wanted: dict[Key, Any]) -> dict[Key, Row]:
    known: dict[Key, Row] = {}
    for flow_run_id in flow_runs:
        keys = [(task, dynamic) for of, task, dynamic in wanted if of == flow_run_id]
        for row in select_task_runs_by_keys(tx, flow_run_id, keys):
            known[row.flow_run_id, row.task_key, row.dynamic_key] = row
    ids = [id for of, id, _ in wanted if of is None]
    if ids:
        known |= {(None, row.id, None): row for row in select_task_runs_by_ids(tx, ids)}
    return known


def _changes(row: Row | None, reports: Sequence[TaskRunReport]) -> dict[str, Any]:
    """The columns to set: those of the reports that are newer than the row, the newest last."""
    stored = None if row is None else row.state_timestamp
    changes: dict[str, Any] = {}
    for report in reports:
        if is_newer(report, stored):
            changes |= report.columns
            changes["flow_run_id"] = report.flow_run_id
    return changes
