"""Resuming a paused run, with or without the input that it waits for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.contract.rest.flow_runs import FlowRunResumeBody
from penstock.core import documents
from penstock.core.errors import HydrationError, InvalidInput, NotFound
from penstock.core.parameter_schemas import CompiledSchema
from penstock.core.states import State, StateType, make_state
from penstock.operations.flow_run_states import current_state, propose_state
from penstock.operations.hydration import hydrated_parameters
from penstock.operations.slow_validation import problems_of
from penstock.store.flow_run_inputs import (
    delete_flow_run_input,
    insert_flow_run_input,
    select_flow_run_input_value,
)
from penstock.store.flow_runs import select_flow_run_facts
from penstock.store.statements import Row
from penstock.store.states import shape_of_state
from penstock.store.transaction import Stale, Transaction

Answer = dict[str, Any]


class _Refused(Exception):
    """The input is not what the run waits for."""


@dataclass(frozen=True, slots=True)
class PreparedResume:
    """A resume thought out: an answer that changes nothing, or a pause and what is given to it."""

    #: set when the run is not resumed
    answer: Answer | None = None
    #: the state the run was in
    paused_id: UUID | None = None
    #: where the input goes, and its JSON text; None when the pause waits for none
    response: tuple[str, str] | None = None


def prepare_resume(
    tx: Transaction, run_id: UUID, body: FlowRunResumeBody, now: datetime
) -> PreparedResume:
    """Check the input against what the paused run waits for. Raises NotFound."""
    row = _facts(tx, run_id)
    paused = current_state(row)
    if paused is None or paused.type is not StateType.PAUSED:
        return PreparedResume(_refusal(SetStateStatus.ABORT, "The run is not paused", None, row))
    keyset = paused.details.get("run_input_keyset")
    if not keyset:
        return PreparedResume(paused_id=paused.id)
    try:
        text = _checked_input(tx, run_id, keyset, body.run_input or {})
    except _Refused as refused:
        # compat: REJECT with the details of an ABORT, prefect 3.8.8
        return PreparedResume(_refusal(SetStateStatus.REJECT, str(refused), paused, row))
    response = keyset.get("response")
    return PreparedResume(
        paused_id=paused.id, response=None if response is None else (response, text)
    )


def resume_flow_run(
    tx: Transaction, run_id: UUID, prepared: PreparedResume, now: datetime
) -> tuple[Answer, bool]:
    """Let a paused run go on: the answer, and whether a state was written.

    What waited in its process is RUNNING again, what was suspended is scheduled for now. Raises
    Stale when the run has left the pause that the input was checked for.
    """
    if prepared.answer is not None:
        return prepared.answer, False
    row = _facts(tx, run_id)
    paused = current_state(row)
    if paused is None or paused.id != prepared.paused_id:
        raise Stale
    if paused.details.get("pause_reschedule"):
        proposed = make_state(StateType.SCHEDULED, now, name="Resuming")
    else:
        proposed = make_state(StateType.RUNNING, now)
    answer, written = propose_state(tx, row, proposed, now)
    if prepared.response is not None and answer["status"] == SetStateStatus.ACCEPT.value:
        key, text = prepared.response
        # the same pause of an earlier retry may have left its answer
        delete_flow_run_input(tx, run_id, key)
        insert_flow_run_input(tx, run_id, key, text, None, now)
    return answer, written


def _facts(tx: Transaction, run_id: UUID) -> Row:
    row = select_flow_run_facts(tx, run_id)
    if row is None:
        raise NotFound(f"There is no flow run {run_id}")
    return row


def _checked_input(
    tx: Transaction, run_id: UUID, keyset: dict[str, str], given: dict[str, Any]
) -> str:
    """The input with its templates resolved, as JSON text, if the run's schema accepts it."""
    try:
        value, text = hydrated_parameters(tx, given)
    except HydrationError as e:
        raise _Refused(f"The input cannot be resolved: {e.message}") from None
    schema = select_flow_run_input_value(tx, run_id, keyset.get("schema", ""))
    if schema is None:
        raise _Refused("The schema of the input is not there; the run must be cancelled")
    try:
        problems = problems_of(_compiled(schema), value)
    except InvalidInput as e:
        raise _Refused(f"The schema of the input cannot be used: {e.message}") from None
    if problems:
        raise _Refused("The input is not what the run waits for: " + "; ".join(map(str, problems)))
    return text


def _compiled(text: str) -> CompiledSchema:
    try:
        schema = documents.load(text)
    except ValueError:
        raise InvalidInput("it is not JSON") from None
    if not isinstance(schema, dict):
        raise InvalidInput("it is not an object")
    return CompiledSchema(schema, loc=("body", "run_input"))


def _refusal(status: SetStateStatus, reason: str, state: State | None, row: Row) -> Answer:
    shape = None if state is None else shape_of_state(state, row.id, row.parent_task_run_id)
    details = {"type": "abort_details", "reason": reason}
    return {"state": shape, "status": status.value, "details": details}
