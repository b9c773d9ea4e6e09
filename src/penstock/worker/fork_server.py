"""`python -m penstock.worker.fork_server FD`: a single-threaded process that has the SDK imported
and forks one process per flow run. A warm template is the same loop, forked from it, with a user's
flow imported as well. It lives as long as the worker at the other end of its socket.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

import penstock
from penstock.sdk.client import Client
from penstock.worker.child import become_flow_run
from penstock.worker.launch import Launch, Message, receive_message, send_message
from penstock.worker.warm_flow import import_warm_flow

_PR_SET_PDEATHSIG = 1
_HELD_SIGNALS = {signal.SIGTERM, signal.SIGINT}
#: Found before the first fork: looking it up afterwards would cost every run.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class RunRole:
    """In a forked process: become this flow run."""

    launch: Launch
    output_fd: int


@dataclass(frozen=True)
class TemplateRole:
    """In a forked process: import this flow, then fork a process for each run of it."""

    launch: Launch
    control: socket.socket


Role = RunRole | TemplateRole


@dataclass
class ForkLoop:
    """Answers one worker's requests to fork, and reports how each process ended."""

    control: socket.socket
    #: The imported flow of a template.
    flow: Any = None
    #: Process id -> the name the worker gave it.
    children: dict[int, str] = field(default_factory=dict)
    #: Those of them that fork for the worker themselves, and end by themselves when it is gone.
    templates: set[int] = field(default_factory=set)
    retired: bool = False

    def serve(self) -> Role | None:
        """None when the worker is gone (or has retired this template); in a forked process, its
        role, for the caller to play with this loop off the stack.
        """
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        _listen_to_children(wake)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while not (self.retired and not self.children):
            ready = {fd for fd, _ in poll.poll()}
            if woken.fileno() in ready:
                _drain(woken)
                self._reap()
            if self.control.fileno() in ready:
                received = receive_message(self.control)
                if received is None:
                    self._kill_all()
                    return None
                role = self._obey(*received)
                if role is not None:
                    signal.set_wakeup_fd(-1)
                    woken.close()
                    wake.close()
                    self.control.close()
                    return role
        return None

    def _obey(self, message: Message, fds: list[int]) -> Role | None:
        match message["do"]:
            case "spawn":
                role: Role = RunRole(Launch.from_message(message["launch"]), fds[0])
                return self._fork(message["id"], role, fds)
            case "template":
                control = socket.socket(fileno=fds[0])
                role = TemplateRole(Launch.from_message(message["launch"]), control)
                in_child = self._fork(message["id"], role, [])
                if in_child is None:
                    control.close()
                return in_child
            case "signal":
                self._signal(message["id"], message["signal"])
            case "retire":
                self.retired = True
        return None

    def _fork(self, name: str, role: Role, fds: list[int]) -> Role | None:
        """The role in the new process, None in this one."""
        parent = os.getpid()
        # A signal for the new process waits until its handlers are set, instead of being lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_SIGNALS)
        pid, problem = _try_to_fork()
        if pid == 0:
            _leave_parent(parent)
            return role
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)
        for fd in fds:
            os.close(fd)
        if pid is None:
            self.tell({"is": "refused", "id": name, "problem": problem})
            return None
        self.children[pid] = name
        if isinstance(role, TemplateRole):
            self.templates.add(pid)
        self.tell({"is": "spawned", "id": name, "pid": pid})
        return None

    def _signal(self, name: str, number: int) -> None:
        """Signal a child's whole group; its process id cannot be another's, as it is our child."""
        for pid, child in self.children.items():
            if child == name:
                try:
                    os.killpg(pid, number)
                except ProcessLookupError:  # Forked a moment ago, not a group leader yet.
                    os.kill(pid, number)

    def _reap(self) -> None:
        for pid in list(self.children):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            # Nothing of a run outlives it. The group cannot be another's before the leader is
            # waited for.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self.templates.discard(pid)
            self.tell({"is": "exited", "id": self.children.pop(pid), "code": code})

    def _kill_all(self) -> None:
        for pid in self.children.keys() - self.templates:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def tell(self, message: Message) -> None:
        """Send the worker a message."""
        # A worker that is gone shows as end of file at the next read.
        with contextlib.suppress(OSError):
            send_message(self.control, message)


def main(control_fd: int) -> int:
    """Serve the worker at the other end of the socket; in a forked process, be a flow run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _load_what_runs_need()
    loop = ForkLoop(socket.socket(fileno=control_fd))
    while True:
        gc.collect()
        gc.freeze()  # Forked processes then share the imported modules' memory.
        role = loop.serve()
        match role:
            case None:
                os._exit(0)
            case RunRole(launch, output_fd):
                return become_flow_run(launch, output_fd, loop.flow)
            case TemplateRole(launch, control):
                loop = _become_template(launch, control)


def _load_what_runs_need() -> None:
    """Import now what the SDK would import in each run, at its first flow or request."""
    for name in penstock.__all__:
        getattr(penstock, name)
    Client("http://localhost:1").close()
    "localhost".encode("idna")


def _become_template(launch: Launch, control: socket.socket) -> ForkLoop:
    """Import the flow and tell the worker whether it can be forked from."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warm = import_warm_flow(launch)
    # From now on it hears itself when the worker is gone, and ends its runs with all they started.
    _die_with_parent(0)
    loop = ForkLoop(control, warm.flow, retired=warm.problem is not None)
    loop.tell({"is": "ready", "problem": warm.problem, "files": warm.files})
    return loop


def _try_to_fork() -> tuple[int | None, str]:
    """What `os.fork` gives, or why there is no new process (too many, no memory)."""
    try:
        return os.fork(), ""
    except OSError as error:
        return None, str(error)


def _leave_parent(parent: int) -> None:
    """In a forked process: a session of its own, signals as usual, death with the parent."""
    os.setsid()
    _die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)


def _die_with_parent(number: int) -> None:
    """The signal this process gets when its parent ends; 0 for none."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, number)


def _listen_to_children(wake: socket.socket) -> None:
    # The handler does nothing, but without one Python would not write to the wakeup descriptor.
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)


def _drain(woken: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while woken.recv(4096):
            pass


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
