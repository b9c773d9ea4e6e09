"""The import of a flow in a template, and whether processes may safely be forked from it."""

import os
import random
import signal
import sys
import sysconfig
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import penstock
from penstock.sdk.entrypoints import load_flow
from penstock.worker.child import enter
from penstock.worker.launch import Launch
from penstock.worker.warm_files import FileStamps, stamp_files

_INSTALLED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(penstock.__file__),
    )
)


@dataclass(frozen=True)
class WarmFlow:
    """What came of importing a flow."""

    #: None when it could not be imported.
    flow: Any
    #: The user's files that the import read.
    files: FileStamps
    #: Why no run may be forked from this process: the import failed, or it left something that
    #: two processes must not share. None when all is well.
    problem: str | None


def import_warm_flow(launch: Launch) -> WarmFlow:
    """Import the flow without a sound, and see whether processes can be forked from it."""
    started_at = time.time_ns()
    _silence()
    before = _Shared.now()
    flow, problem = None, None
    try:
        enter(launch.env, launch.working_dir)
        flow = load_flow(launch.entrypoint or "", launch.path)
    except (Exception, SystemExit) as error:  # A run of its own will tell the user.
        problem = f"importing it raises {type(error).__name__}"
    files = stamp_files(_user_files(launch))
    problem = problem or before.problem_since()
    if problem is None and any(changed >= started_at for changed, _ in files.values()):
        problem = "its files changed while they were imported"
    return WarmFlow(flow, files, problem)


@dataclass(frozen=True)
class _Shared:
    """What a fork would share or lose, at one moment."""

    open_fds: frozenset[str]
    random_state: object
    handlers: tuple[object, ...]

    @classmethod
    def now(cls) -> "_Shared":
        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        return cls(_open_fds(), random.getstate(), tuple(map(signal.getsignal, handled)))

    def problem_since(self) -> str | None:
        """What an import has done since that makes forking unsafe or visible to the flow."""
        now = _Shared.now()
        if threading.active_count() > 1 or _native_threads_remain():
            return "importing it starts threads"
        if not now.open_fds <= self.open_fds:
            return "importing it leaves files or connections open"
        if now.random_state != self.random_state:
            return "importing it seeds or uses the random numbers"
        if now.handlers != self.handlers:
            return "importing it handles signals"
        return None


def _native_threads_remain() -> bool:
    """Whether threads of C libraries would be lost in a fork. Some libraries (OpenBLAS) end theirs
    before a fork and start them again when needed: a fork shows which.
    """
    if _count_threads() == 1:
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return _count_threads() > 1


def _count_threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()


def _open_fds() -> frozenset[str]:
    """Each open descriptor with what it is open to."""
    open_fds = set()
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for fd in os.listdir(folder):
        try:
            status = os.fstat(int(fd))
        except OSError:  # The listing's own descriptor, closed by now.
            continue
        open_fds.add(f"{fd}:{status.st_dev}:{status.st_ino}")
    return frozenset(open_fds)


def _user_files(launch: Launch) -> list[str]:
    """The flow's file, and those behind the imported modules that are not installed ones."""
    flow_file = os.path.join(launch.path or "", (launch.entrypoint or "").rpartition(":")[0])
    files = {os.path.abspath(flow_file)} if os.path.isfile(flow_file) else set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not os.path.realpath(file).startswith(_INSTALLED):
            files.add(os.path.abspath(file))
    return sorted(files)


def _silence() -> None:
    """What the import prints belongs to no run."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
