"""The warm templates of a worker: which flows are kept imported, and when one is out of date."""

import logging
import threading
from collections import OrderedDict

from penstock.worker.launch import Launch, Message
from penstock.worker.process import Forker, ForkServer, NotForked, OnExit, RunProcess
from penstock.worker.warm_files import FileStamps, stamp_files

_logger = logging.getLogger("penstock.worker")


class _Template:
    """A process that has one flow imported, or soon will."""

    def __init__(self, launch: Launch) -> None:
        self.entrypoint = launch.entrypoint
        self.forker = Forker(on_ready=self._on_ready)
        #: None until the import has ended.
        self.files: FileStamps | None = None
        self.problem: str | None = None

    def _on_ready(self, message: Message) -> None:
        self.problem = message["problem"]
        self.files = {file: (stamp[0], stamp[1]) for file, stamp in message["files"].items()}
        if self.problem is None:
            _logger.info("flow %s is kept warm", self.entrypoint)
        else:
            _logger.info("flow %s is not kept warm: %s", self.entrypoint, self.problem)

    @property
    def ready(self) -> bool:
        return self.files is not None and self.problem is None and self.forker.alive

    @property
    def outdated(self) -> bool:
        """Whether a file that the import read has changed since, or the process is gone."""
        if self.files is None:
            return not self.forker.alive
        if self.problem is None and not self.forker.alive:
            return True
        return stamp_files(list(self.files)) != self.files


class Templates:
    """Starts runs from the warmest process that fits: a template, else the fork server."""

    def __init__(self, fork_server: ForkServer, size: int) -> None:
        self._fork_server = fork_server
        self._size = size
        self._lock = threading.Lock()
        #: By `Launch.revision`, the least recently used first.
        self._templates: OrderedDict[str, _Template] = OrderedDict()

    def spawn(self, launch: Launch, output_fd: int, on_exit: OnExit) -> tuple[RunProcess, bool]:
        """The run's process, and whether its flow was imported before."""
        template = self._fresh(launch) if launch.argv is None else None
        if template is not None and template.ready:
            try:
                return template.forker.spawn(launch, output_fd, on_exit), True
            except NotForked:
                _logger.warning("the warm process of %s is gone", template.entrypoint)
        try:
            process = self._fork_server.forker().spawn(launch, output_fd, on_exit)
        except NotForked:  # It died since it was last used; the next one is new.
            process = self._fork_server.forker().spawn(launch, output_fd, on_exit)
        return process, False

    def keep_warm(self, launch: Launch) -> None:
        """See that the next run of this revision finds its flow imported."""
        if launch.argv is not None or self._size == 0 or self._fresh(launch) is not None:
            return
        template = _Template(launch)
        with self._lock:
            if self._templates.setdefault(launch.revision, template) is not template:
                return
            surplus = len(self._templates) - self._size
            evicted = [self._templates.popitem(last=False)[1] for _ in range(surplus)]
        for old in evicted:
            old.forker.retire()
        try:
            self._fork_server.forker().fork_template(launch, template.forker)
        except NotForked:
            with self._lock:
                self._templates.pop(launch.revision, None)

    def _fresh(self, launch: Launch) -> _Template | None:
        """The template of this revision, unless its files have changed: then it is retired."""
        with self._lock:
            template = self._templates.get(launch.revision)
            if template is None:
                return None
            if not template.outdated:
                self._templates.move_to_end(launch.revision)
                return template
            del self._templates[launch.revision]
        template.forker.retire()
        return None
