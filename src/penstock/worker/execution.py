"""One flow run on this worker: its thread starts the process, ends it when it must, and sees to
the run's final state.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from penstock.contract.enums import SetStateStatus
from penstock.sdk.client import Client
from penstock.sdk.errors import ApiError, PenstockError, Unavailable
from penstock.worker.contact import ServerContact
from penstock.worker.job import PROCESS_JOB_TEMPLATE, Job, Surroundings, make_job
from penstock.worker.outcome import Ending, describe_exit, final_state, is_terminal
from penstock.worker.output import OutputPump
from penstock.worker.process import NotForked, RunProcess
from penstock.worker.templates import Templates

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRun

T = TypeVar("T")

_logger = logging.getLogger("penstock.worker")

#: After this long without an answer the server has given the attempt up by itself.
_PATIENCE_SECONDS = 60.0
_OUTPUT_SECONDS = 2.0
#: A flow that suspends itself ends by itself in this time.
_SUSPENDING_SECONDS = 5.0


@dataclass(frozen=True)
class Equipment:
    """What all runs of a worker share."""

    client: Client
    contact: ServerContact
    templates: Templates
    output: OutputPump
    surroundings: Surroundings
    #: None for a worker that serves deployments without a pool
    pool: str | None
    grace_seconds: float


@dataclass(frozen=True)
class Exited:
    """The process has ended."""

    code: int | None


class Execution:
    """A run that this worker has taken. `run` is its thread; the rest may be called by any."""

    def __init__(self, flow_run: "FlowRun", attempt_id: UUID, equipment: Equipment) -> None:
        self.flow_run_id = flow_run.id
        self.attempt_id = attempt_id
        self._flow_run = flow_run
        self._tools = equipment
        self._inbox: SimpleQueue[Exited | Ending] = SimpleQueue()
        self._process: RunProcess | None = None
        self._ending: Ending | None = None

    def end(self, ending: Ending) -> None:
        """Ask for the end of the run's process."""
        self._inbox.put(ending)

    def run(self) -> None:
        """Execute the run to its end."""
        try:
            job = self._prepare()
            started_at = time.monotonic()
            shown = self._start(job)
        except (PenstockError, NotForked, OSError, ValueError) as error:
            self._settle({"type": "CRASHED", "message": f"The run could not be started: {error}"})
            return
        seconds = job.timeout_seconds
        try:
            code = self._attend(None if seconds is None else started_at + seconds)
        except BaseException:
            self._kill("is no longer attended to, killed")
            raise
        self._tools.templates.keep_warm(job.launch)
        if shown is not None:
            shown.wait(_OUTPUT_SECONDS)
        self._finish(code, seconds)

    def _prepare(self) -> Job:
        client = self._tools.client
        if self._flow_run.deployment_id is None:
            raise ValueError("it has no deployment, so that its code cannot be found")
        deployment_id = self._flow_run.deployment_id
        deployment = self._patiently(lambda: client.read_deployment(deployment_id))
        return make_job(
            self._flow_run,
            deployment,
            self._job_template(),
            self.attempt_id,
            self._tools.surroundings,
        )

    def _job_template(self) -> Mapping[str, Any]:
        name = self._tools.pool
        if name is None:
            return PROCESS_JOB_TEMPLATE
        pool = self._patiently(lambda: self._tools.client.read_work_pool(name))
        return pool.base_job_template or {}

    def _start(self, job: Job) -> threading.Event | None:
        """Start the process; the event is set when all its output has been shown."""
        shown = None
        if job.stream_output:
            fd, shown = self._tools.output.open(self._flow_run.name)
        else:
            fd = os.open(os.devnull, os.O_WRONLY)
        try:
            self._process, warm = self._tools.templates.spawn(job.launch, fd, self._exited)
        finally:
            os.close(fd)
        how = "a command" if job.launch.argv else "warm" if warm else "cold"
        self._say("started as process %d (%s)", self._process.pid, how)
        self._announce(self._process.pid)
        return shown

    def _announce(self, pid: int) -> None:
        """Tell where the run executes: one that waits for a retry is then cancelled through us."""
        place = f"{os.uname().nodename}:{pid}"
        try:
            self._tools.client.update_flow_run(self.flow_run_id, infrastructure_pid=place)
        except PenstockError as error:
            self._say("goes on, but where could not be told: %s", error)

    def _exited(self, code: int | None) -> None:
        self._inbox.put(Exited(code))

    def _attend(self, deadline: float | None) -> int | None:
        """Wait for the process, and end it when it is cancelled, lost or late; its exit code."""
        while True:
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                event = self._inbox.get(timeout=left)
            except Empty:
                if self._ending is None:
                    deadline = self._end(Ending.TIMED_OUT)
                elif self._ending is Ending.SUSPENDED:
                    deadline = self._end(Ending.OVER, "suspended, asked to end")
                else:
                    self._kill("did not end in %g seconds, killed", self._tools.grace_seconds)
                    deadline = None
                continue
            if isinstance(event, Exited):
                return event.code
            if self._ending is None or event in (Ending.LOST, Ending.STOPPED):
                deadline = self._end(event)

    def _end(self, ending: Ending, words: str | None = None) -> float | None:
        """Begin to end the process; when to go further. `words` also ask one that is over."""
        self._ending = ending
        if ending in (Ending.LOST, Ending.STOPPED):
            self._kill("%s, killed", ending.value)
            return None
        if ending is Ending.SUSPENDED:
            return time.monotonic() + _SUSPENDING_SECONDS
        if (words or ending is not Ending.OVER) and self._process is not None:
            self._say(words or f"{ending.value}, asked to end")
            self._process.signal(signal.SIGTERM)
        return time.monotonic() + self._tools.grace_seconds

    def _kill(self, words: str, *values: object) -> None:
        self._say(words, *values)
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    def _finish(self, code: int | None, timeout_seconds: float | None) -> None:
        if self._ending is Ending.LOST:
            self._say("is no longer ours; its process has ended")
            return
        read = self._tools.client.read_flow_run
        try:
            flow_run = self._patiently(lambda: read(self.flow_run_id))
        except PenstockError as error:
            self._say("ended, its state is not known: %s", error)
            return
        state = final_state(flow_run, code, self._ending, timeout_seconds)
        if state is not None:
            self._settle(state, force=self._ending is Ending.TIMED_OUT)
        elif is_terminal(flow_run):
            self._say("ended %s", flow_run.state_name)
        else:
            how = describe_exit(code) if self._ending is None else "Its process has ended."
            self._say("left %s: %s", flow_run.state_name, how)

    def _settle(self, state: dict[str, Any], force: bool = False) -> None:
        try:
            answer = self._patiently(
                lambda: self._tools.client.set_flow_run_state(
                    self.flow_run_id, state, force=force, attempt_id=self.attempt_id
                )
            )
        except PenstockError as error:
            self._say("could not be set %s: %s", state["type"], error)
            return
        now = answer.state.name if answer.state is not None else "without a state"
        if answer.status == SetStateStatus.ACCEPT:
            self._say("ended %s: %s", now, state["message"])
        else:
            self._say("is %s by now", now)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """The answer to a request, which is repeated for a minute while the server is away."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = ask()
            except ApiError as error:
                away = isinstance(error, Unavailable) or error.status >= 500
                if not away or time.monotonic() > give_up_at:
                    raise
                self._tools.contact.failed(error)
                time.sleep(1.0)
            else:
                self._tools.contact.succeeded()
                return answer

    def _say(self, words: str, *values: object) -> None:
        _logger.info("run '%s' " + words, self._flow_run.name, *values)
