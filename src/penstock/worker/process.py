"""The worker's end of its fork server: starts each flow run in a process of its own, from a warm
template when there is one, and tells how it ended.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from penstock.worker.launch import Launch, Message, receive_message, send_message

_START_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 5.0

#: Called once with the exit code: negative for a signal, None when nobody saw the end.
OnExit = Callable[[int | None], None]


class NotForked(Exception):
    """The process that was to fork is gone, or the machine has no room for another."""


class Forker:
    """One process that forks on request: the fork server, or a template forked from it."""

    def __init__(self, on_ready: Callable[[Message], None] | None = None) -> None:
        self._control, self.peer = socket.socketpair()
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._unborn: dict[str, Future[int]] = {}
        self._pids: dict[str, int] = {}
        self._on_exit: dict[str, OnExit] = {}
        self._on_ready = on_ready
        self.alive = True

    def listen(self) -> None:
        """Begin to hear the process; the caller has handed it `peer` before."""
        self.peer.close()
        threading.Thread(target=self._listen, name="fork-listener", daemon=True).start()

    def spawn(self, launch: Launch, output_fd: int, on_exit: OnExit) -> "RunProcess":
        """A new process for the run, its output going to `output_fd`. NotForked when there is
        none, and then `on_exit` is never called.
        """
        name, pid = self._expect(on_exit)
        self._send({"do": "spawn", "id": name, "launch": launch.to_message()}, [output_fd])
        try:
            return RunProcess(self, name, pid.result(_START_TIMEOUT_SECONDS))
        except FutureTimeoutError:
            raise NotForked("no process within a minute") from None

    def fork_template(self, launch: Launch, template: "Forker") -> None:
        """Have the fork server fork a template and connect it to `template`."""
        name, _ = self._expect(lambda _: None)
        message = {"do": "template", "id": name, "launch": launch.to_message()}
        self._send(message, [template.peer.fileno()])
        template.listen()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the process group of one run; nothing when it has ended."""
        with contextlib.suppress(NotForked):
            self._send({"do": "signal", "id": name, "signal": number})

    def retire(self) -> None:
        """Let the process end when its last run has."""
        with contextlib.suppress(NotForked):
            self._send({"do": "retire"})

    def close(self) -> None:
        """End the process, and every run it has forked, at once."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def _expect(self, on_exit: OnExit) -> tuple[str, Future[int]]:
        pid: Future[int] = Future()
        with self._lock:
            name = str(next(self._ids))
            self._unborn[name] = pid
            self._on_exit[name] = on_exit
        return name, pid

    def _send(self, message: Message, fds: list[int] | None = None) -> None:
        with self._lock:
            if not self.alive:
                raise NotForked("it has ended")
            try:
                send_message(self._control, message, fds or [])
            except OSError as error:
                raise NotForked(str(error)) from error

    def _listen(self) -> None:
        while received := receive_message(self._control):
            message = received[0]
            match message["is"]:
                case "spawned":
                    self._pids[message["id"]] = message["pid"]
                    self._unborn.pop(message["id"]).set_result(message["pid"])
                case "refused":
                    del self._on_exit[message["id"]]
                    self._unborn.pop(message["id"]).set_exception(NotForked(message["problem"]))
                case "exited":
                    del self._pids[message["id"]]
                    self._on_exit.pop(message["id"])(message["code"])
                case "ready" if self._on_ready is not None:
                    self._on_ready(message)
        self._ended()

    def _ended(self) -> None:
        """Its processes die with it (see fork_server); what they have started is killed here."""
        with self._lock:
            self.alive = False
            self._control.close()
            unborn, orphaned = list(self._unborn.items()), dict(self._on_exit)
            self._unborn.clear()
            self._on_exit.clear()
        for group in self._pids.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        for name, pid in unborn:
            orphaned.pop(name, None)
            pid.set_exception(NotForked("it ended before it had forked"))
        for on_exit in orphaned.values():
            on_exit(None)


@dataclass(frozen=True)
class RunProcess:
    """The process of one flow run."""

    forker: Forker
    name: str
    pid: int

    def signal(self, number: int) -> None:
        """Send a signal to the run's whole process group."""
        self.forker.signal(self.name, number)


class ForkServer:
    """Keeps one fork server running, and replaces it when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._forker: Forker | None = None

    def forker(self) -> Forker:
        """The fork server, started when there is none."""
        with self._lock:
            if self._forker is None or not self._forker.alive:
                self._reap()
                self._forker = forker = Forker()
                fd = forker.peer.fileno()
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "penstock.worker.fork_server", str(fd)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[fd],
                    start_new_session=True,  # Ctrl-C is for the worker, which lets runs end.
                )
                forker.listen()
            return self._forker

    def close(self) -> None:
        """End it with every process it has forked."""
        with self._lock:
            if self._forker is not None:
                self._forker.close()
            self._reap()

    def _reap(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
