"""Executes flows in this process: called directly, or for a run that already exists."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.sdk import calls
from penstock.sdk.connection import shared_client
from penstock.sdk.context import current_flow_run
from penstock.sdk.errors import ParameterError, RunAborted, RunSuspended, RunTerminated
from penstock.sdk.flow_engine import flow_run_steps
from penstock.sdk.flow_runs import LiveFlowRun
from penstock.sdk.states import State, failed, state_from_wire
from penstock.sdk.steps import run_awaiting, run_blocking, run_coroutine

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow

__all__ = ["execute_flow_run", "run_flow"]

logger = logging.getLogger("penstock.run")

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM


def run_flow(flow: Flow[Any, Any], bound: dict[str, Any], return_state: bool) -> Any:
    """Creates a run of the flow and executes it; for an async flow gives a coroutine."""
    if flow.is_async:
        return _run_async_flow(flow, bound, return_state)
    outer = current_flow_run.get()
    client = outer.client if outer is not None else shared_client()
    state = run_blocking(flow_run_steps(LiveFlowRun(flow, bound, client)))
    return _given_back(state, return_state)


async def _run_async_flow(flow: Flow[Any, Any], bound: dict[str, Any], return_state: bool) -> Any:
    import asyncio

    outer = current_flow_run.get()
    client = outer.client if outer is not None else await asyncio.to_thread(shared_client)
    state = await run_awaiting(flow_run_steps(LiveFlowRun(flow, bound, client)))
    return _given_back(state, return_state)


def _given_back(state: State, return_state: bool) -> Any:
    broken_off = isinstance(state.data, BaseException) and not isinstance(state.data, Exception)
    if return_state and not broken_off:  # Ctrl-C and the like are not for the caller to overlook
        return state
    return state.result()


def execute_flow_run(
    flow: Flow[Any, Any], flow_run_id: UUID | str, client: Client | None = None
) -> State:
    """Executes a run that exists already and gives its final state, whatever it is.

    For the process a worker starts: the attempt named by PENSTOCK_ATTEMPT_ID is the worker's,
    who renews it. On SIGTERM the body is broken off, its log lines are delivered and the process
    exits with 143; the state is left to the worker.
    """
    client = client or shared_client()
    attempt_id = os.environ.get("PENSTOCK_ATTEMPT_ID") or None
    stored = client.do_json(calls.read_flow_run(flow_run_id))
    try:
        bound = flow.bind_stored(stored.get("parameters") or {})
    except ParameterError as error:
        return _refuse(client, stored, error, attempt_id)
    run = LiveFlowRun(flow, bound, client, stored=stored, attempt_id=attempt_id)
    try:
        with _termination(run):
            if flow.is_async:
                return run_coroutine(run_awaiting(flow_run_steps(run)))
            return run_blocking(flow_run_steps(run))
    except RunTerminated:
        raise SystemExit(TERMINATED_EXIT_CODE) from None
    except RunSuspended:
        logger.info("flow run '%s' is suspended until somebody resumes it", run.name)
        return State("PAUSED", "Suspended")
    except RunAborted as error:
        logger.warning("%s", error)
        return state_from_wire(client.do_json(calls.read_flow_run(flow_run_id))["state"])


def _refuse(
    client: Client, stored: dict[str, Any], error: ParameterError, attempt_id: str | None
) -> State:
    """A stored run whose parameters do not fit the code fails without starting."""
    state = failed(error)
    client.do_json(calls.set_flow_run_state(stored["id"], state, attempt_id=attempt_id))
    return state


@contextlib.contextmanager
def _termination(run: LiveFlowRun) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        # an event loop turns the exception into a cancellation: the run must know better
        run.interrupted = "TERMINATED"
        raise RunTerminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
