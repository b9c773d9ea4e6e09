"""Keeps this worker's attempts and the worker itself alive in the server's eyes."""

import logging
import threading
from collections.abc import Callable

from penstock.contract.enums import StateType
from penstock.sdk.client import Client
from penstock.sdk.errors import ApiError, AttemptLost, NotFound, PenstockError
from penstock.worker.contact import ServerContact
from penstock.worker.execution import Execution
from penstock.worker.outcome import Ending
from penstock.worker.slots import Slots

_logger = logging.getLogger("penstock.worker")

RENEWAL_SECONDS = 10.0
HEARTBEAT_SECONDS = 30.0

_LEFT_BY_ITSELF = {StateType.COMPLETED, StateType.FAILED}


def renew_attempts(client: Client, contact: ServerContact, slots: Slots) -> None:
    """Renew the attempt of every run, and end the processes of those cancelled or lost."""
    for execution in slots.executions():
        try:
            ending = _renew(client, execution)
        except PenstockError as error:
            contact.failed(error)
            if isinstance(error, ApiError) and error.status not in (0, 503):
                continue  # Refused for this run alone: the others must not be lost with it.
            return  # The others would wait for the same server; the next round is soon.
        contact.succeeded()
        if ending is not None:
            execution.end(ending)


def _renew(client: Client, execution: Execution) -> Ending | None:
    """Renew one attempt; why its process must end, if it must."""
    try:
        state = client.renew_attempt(execution.attempt_id)["state_type"]
        return Ending.CANCELLED if state == StateType.CANCELLING else None
    except AttemptLost:
        refused = True
    except NotFound:  # The run is deleted, or the server knows no attempts.
        refused = False
    try:
        flow_run = client.read_flow_run(execution.flow_run_id)
    except NotFound:
        return Ending.LOST
    if flow_run.state_type == StateType.PAUSED:
        return Ending.SUSPENDED
    if flow_run.state_type in _LEFT_BY_ITSELF:
        return Ending.OVER  # Refused because the run has left the process, which may end in peace.
    if flow_run.state_type == StateType.CANCELLING:
        return Ending.CANCELLED
    return Ending.LOST if refused else None


def every(seconds: float, action: Callable[[], None], stop: threading.Event, name: str) -> None:
    """Do `action` in a thread every so many seconds, the first time at once, until `stop`.

    An error is logged and does not end it: without renewals every run would be lost.
    """

    def repeat() -> None:
        while True:
            try:
                action()
            except Exception:
                _logger.exception("%s failed; it is tried again in %g s", name, seconds)
            if stop.wait(seconds):
                return

    threading.Thread(target=repeat, name=name, daemon=True).start()
