"""The task run that stands for a subflow in the flow run around it follows the subflow's run."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from penstock.core.ids import new_id
from penstock.core.states import State
from penstock.core.task_run_rules import Policy, decide_task_run_state
from penstock.operations.task_run_states import task_run_facts, write_task_run_state
from penstock.store.task_run_states import select_task_run_facts
from penstock.store.transaction import Transaction

#: what a state says of its own run only
_OWN = ("flow_run_id", "task_run_id", "child_flow_run_id")


def follow_subflow(
    tx: Transaction, parent_task_run_id: UUID, child_id: UUID, state: State, now: datetime
) -> None:
    """Give the parent task run the state that its subflow's run has entered.

    Nothing happens when there is no such task run. Raises Stale when the task run has got another
    state meanwhile.
    """
    row = select_task_run_facts(tx, parent_task_run_id)
    if row is None:
        return
    details = {k: v for k, v in state.details.items() if k not in _OWN}
    details["child_flow_run_id"] = child_id
    same = replace(state, id=new_id(now), details=details)
    outcome = decide_task_run_state(task_run_facts(row), same, now, Policy.MINIMAL)
    write_task_run_state(tx, row, outcome, now)
