"""The worker: polls its pool, takes due runs, and drains when it is asked to stop."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from penstock.contract.enums import SetStateStatus, StateType
from penstock.sdk.client import Client
from penstock.sdk.errors import Conflict, InvalidInput, NotFound, PenstockError
from penstock.worker import WorkerOptions
from penstock.worker.cancellation import CancellationListener
from penstock.worker.contact import ServerContact
from penstock.worker.execution import Equipment, Execution
from penstock.worker.job import PROCESS_JOB_TEMPLATE, Surroundings
from penstock.worker.outcome import Ending
from penstock.worker.output import OutputPump
from penstock.worker.process import ForkServer
from penstock.worker.renewal import HEARTBEAT_SECONDS, RENEWAL_SECONDS, every, renew_attempts
from penstock.worker.slots import Slots
from penstock.worker.templates import Templates

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRun

_logger = logging.getLogger("penstock.worker")

_LONG_POLL_SECONDS = 30.0
_POLL_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.1
_QUICK_SECONDS = 1.0
#: For the final states of runs that are ended with the worker.
_LAST_WORDS_SECONDS = 15.0


class _Stop(Exception):
    """Raised in the main thread by a signal that interrupts its waiting."""


class Worker:
    """A process worker, for one call of `run`."""

    #: Between polls that bring nothing, when the server does not let them wait.
    longest_pause_seconds = 10.0

    def __init__(self, options: WorkerOptions, api_url: str | None = None) -> None:
        self._options = options
        self._api_url = api_url
        self.name = options.name or f"process-{socket.gethostname()}-{uuid4().hex[:6]}"
        self._slots = Slots(options.limit)
        self._contact = ServerContact()
        self._stopped = Event()
        self._signals = 0
        self._waiting = False

    def run(self) -> int:
        """Work until asked to stop; 0 when everything taken has ended."""
        _log_to_stderr()
        self._check_options()
        handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        fork_server = ForkServer()
        try:
            with Client(self._api_url) as client, Client(client.api_url) as polling:
                self._begin(client)
                fork_server.forker()
                self._work(client, polling, fork_server)
        finally:
            self._stopped.set()
            fork_server.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        _logger.info("worker '%s' has stopped", self.name)
        return 0

    def _check_options(self) -> None:
        if self._options.type != "process":
            raise PenstockError(f"worker type '{self._options.type}' is unknown: use 'process'")
        if self._options.limit < 1:
            raise PenstockError(f"the limit must be 1 or more, not {self._options.limit}")

    def _work(self, client: Client, polling: Client, fork_server: ForkServer) -> None:
        equipment = Equipment(
            client=client,
            contact=self._contact,
            templates=Templates(fork_server, self._options.warm_flows),
            output=OutputPump(),
            surroundings=Surroundings(dict(os.environ), client.api_url),
            pool=self._options.pool or None,
            grace_seconds=self._options.grace_seconds,
        )
        listener = CancellationListener(
            client, self._cancel, lambda flow_run_id: self._suspend(client, flow_run_id)
        )
        listener.start()
        heartbeat = self._heartbeat_action(client)
        if heartbeat is not None:
            every(HEARTBEAT_SECONDS, heartbeat, self._stopped, "heartbeat")
        every(
            RENEWAL_SECONDS,
            lambda: renew_attempts(client, self._contact, self._slots),
            self._stopped,
            "renewal",
        )
        self._announce()
        with suppress(_Stop):
            self._take_runs(polling, equipment)
        self._stop_taking(client)
        self._drain()
        listener.stop()
        self._stopped.set()  # Before the client is closed: no heartbeat may follow.

    def _take_runs(self, polling: Client, equipment: Equipment) -> None:
        """Poll and take runs until a signal raises _Stop."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            asked_at = time.monotonic()
            runs = self._poll(polling)
            taken = [self._take(run, equipment) for run in runs or ()]
            if any(taken) or (runs == [] and time.monotonic() - asked_at > _QUICK_SECONDS):
                pause = _FIRST_PAUSE_SECONDS
                continue
            # No server that waits, no run that could be taken, or no server.
            with self._interruptible():
                time.sleep(pause)
            pause = min(2 * pause, self.longest_pause_seconds)

    def _poll(self, polling: Client) -> "list[FlowRun] | None":
        """Runs that are due, as many as there are free slots; None when the poll failed."""
        try:
            with self._interruptible():
                free = 0
                while free == 0:
                    free = self._slots.wait_for_free(_POLL_SECONDS)
                found = list(self._find_due(polling, free))
        except PenstockError as error:
            self._contact.failed(error)
            return None
        self._contact.succeeded()
        return found

    def _take(self, run: "FlowRun", equipment: Equipment) -> bool:
        """Make the run ours and execute it, unless another worker was faster."""
        if self._signals or self._slots.find(run.id) is not None:
            return False
        attempt_id = uuid4()
        try:
            owned = _claim(equipment.client, run, attempt_id)
        except PenstockError as error:
            self._contact.failed(error)
            return False
        if owned:
            _logger.info("run '%s' taken (%s, attempt %s)", run.name, run.id, attempt_id)
            self._slots.occupy(Execution(run, attempt_id, equipment))
        return owned

    def _drain(self) -> None:
        """Let the runs end; a second signal ends them at once."""
        _logger.info("stopping; waiting for %d runs", len(self._slots.executions()))
        while not self._slots.wait_for_empty(0.5):
            if self._signals > 1:
                for execution in self._slots.executions():
                    execution.end(Ending.STOPPED)
                # Without a server the states cannot be set; it will find the attempts lost.
                self._slots.wait_for_empty(_LAST_WORDS_SECONDS)
                return

    def _cancel(self, flow_run_id: UUID) -> None:
        execution = self._slots.find(flow_run_id)
        if execution is not None:
            execution.end(Ending.CANCELLED)

    def _suspend(self, client: Client, flow_run_id: UUID) -> None:
        execution = self._slots.find(flow_run_id)
        if execution is None:
            return
        try:
            state = client.read_flow_run(flow_run_id).state
        except PenstockError as error:  # The renewals notice it.
            self._contact.failed(error)
            return
        # The event may be late, and the run resumed and taken again.
        if state is not None and state.state_details.pause_reschedule:
            execution.end(Ending.SUSPENDED)

    # What differs in a worker that serves deployments instead of a pool: `serving`.

    def _begin(self, client: Client) -> None:
        """See that there is something to take runs of."""
        _ensure_pool(client, self._options)

    def _announce(self) -> None:
        _logger.info("worker '%s' waits for runs of pool '%s'", self.name, self._options.pool)

    def _find_due(self, polling: Client, free: int) -> "Sequence[FlowRun]":
        """Up to `free` runs that are due; may wait for one."""
        found = polling.get_scheduled_flow_runs(
            self._options.pool,
            work_queue_names=list(self._options.queues) or None,
            scheduled_before=datetime.now(UTC),
            limit=min(free, 200),
            wait_seconds=_LONG_POLL_SECONDS,
        )
        return [entry.flow_run for entry in found]

    def _heartbeat_action(self, client: Client) -> Callable[[], None] | None:
        return lambda: self._heartbeat(client)

    def _stop_taking(self, client: Client) -> None:
        """Called once no more runs are taken, before those taken have ended."""

    def _heartbeat(self, client: Client) -> None:
        try:
            client.send_worker_heartbeat(self._options.pool, self.name, HEARTBEAT_SECONDS)
        except PenstockError as error:
            self._contact.failed(error)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._waiting:
            raise _Stop

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Waiting that a signal ends: nothing is lost when it is left at any point."""
        try:
            self._waiting = True
            if self._signals:
                raise _Stop
            yield
        finally:
            self._waiting = False


def _claim(client: Client, run: "FlowRun", attempt_id: UUID) -> bool:
    """Whether the run is PENDING for this attempt now."""
    transition_id = uuid4()
    state = {"type": "PENDING", "state_details": {"transition_id": str(transition_id)}}
    answer = client.set_flow_run_state(run.id, state, attempt_id=attempt_id)
    if answer.status == SetStateStatus.ACCEPT:
        return True
    # An answer was lost on the way and the client has asked again: then the state is ours. What was
    # written in place of it, such as AwaitingConcurrencySlot, bears the same transition.
    found = answer.state
    if (
        found is not None
        and found.type == StateType.PENDING
        and found.state_details.transition_id == transition_id
    ):
        return True
    reason = getattr(answer.details, "reason", None) or "no reason given"
    _logger.info("run '%s' not taken: %s", run.name, reason)
    return False


def _ensure_pool(client: Client, options: WorkerOptions) -> None:
    """Raise a PenstockError unless the pool exists, or can be created, and is of our type."""
    try:
        pool = client.read_work_pool(options.pool)
    except NotFound:
        if not options.create_pool_if_missing:
            raise PenstockError(
                f"there is no work pool '{options.pool}': "
                f"penstock work-pool create {options.pool} --type process"
            ) from None
        try:
            pool = client.create_work_pool(
                options.pool, type="process", base_job_template=PROCESS_JOB_TEMPLATE
            )
            _logger.info("created the work pool '%s'", options.pool)
        except Conflict:  # Another worker has just made it.
            pool = client.read_work_pool(options.pool)
    if pool.type != "process":
        raise InvalidInput(f"work pool '{pool.name}' is for {pool.type} workers, not for process")


def _log_to_stderr() -> None:
    """Lines of the worker go to stderr; what its runs print goes to stdout."""
    if _logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d | %(message)s", "%H:%M:%S"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
