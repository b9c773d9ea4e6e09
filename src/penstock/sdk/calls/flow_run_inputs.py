"""Resuming paused flow runs, and the values that are sent to flow runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.sdk.calls.answers import Fields, Id, given, many, nothing, one, plain_text, quoted
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRunInput
    from penstock.contract.rest.states import OrchestrationResult


def resume_flow_run(
    flow_run_id: Id, *, run_input: Fields | None = None
) -> Call[OrchestrationResult]:
    """Lets a paused flow run go on, with the input that it waits for.

    The answer's status is ABORT when it is not paused, REJECT when the input does not fit.
    """
    parse = one("states", "OrchestrationResult")
    return Call("POST", f"/flow_runs/{flow_run_id}/resume", parse, given(run_input=run_input))


def create_flow_run_input(
    flow_run_id: Id, *, key: str, value: str, sender: str | None = None
) -> Call[None]:
    """Stores a text for the flow run under a key; raises Conflict when the key is taken."""
    body = given(key=key, value=value, sender=sender)
    return Call("POST", f"/flow_runs/{flow_run_id}/input", nothing, body, repeatable=False)


def read_flow_run_input(flow_run_id: Id, key: str) -> Call[str]:
    """The text that was stored under this key; raises NotFound."""
    return Call("GET", f"/flow_runs/{flow_run_id}/input/{quoted(key)}", plain_text)


def read_flow_run_inputs(
    flow_run_id: Id,
    *,
    prefix: str = "",
    limit: int | None = None,
    exclude_keys: Sequence[str] | None = None,
) -> Call[list[FlowRunInput]]:
    """The flow run's inputs whose keys begin so, the oldest first; one without `limit`."""
    body = {"prefix": prefix, **given(limit=limit, exclude_keys=exclude_keys)}
    parse = many("flow_runs", "FlowRunInput")
    return Call("POST", f"/flow_runs/{flow_run_id}/input/filter", parse, body)


def delete_flow_run_input(flow_run_id: Id, key: str) -> Call[None]:
    """Deletes an input; raises NotFound."""
    return Call("DELETE", f"/flow_runs/{flow_run_id}/input/{quoted(key)}", nothing)
