"""The runs that a worker executes now, and how many more it may take."""

import threading
from uuid import UUID

from penstock.worker.execution import Execution


class Slots:
    """Shared by the worker's threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._executions: dict[UUID, Execution] = {}

    def wait_for_free(self, seconds: float) -> int:
        """How many runs may be taken; waits up to `seconds` when none."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._executions) < self._limit, seconds)
            return self._limit - len(self._executions)

    def wait_for_empty(self, seconds: float) -> bool:
        """Whether no run is executed any more; waits up to `seconds` for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._executions, seconds)

    def occupy(self, execution: Execution) -> None:
        """Execute the run in a thread of its own, which frees the slot at its end."""
        with self._changed:
            self._executions[execution.flow_run_id] = execution
        name = f"run-{execution.flow_run_id}"
        threading.Thread(target=self._run, args=(execution,), name=name, daemon=True).start()

    def executions(self) -> list[Execution]:
        """Everything that is executed now."""
        with self._changed:
            return list(self._executions.values())

    def find(self, flow_run_id: UUID) -> Execution | None:
        """The execution of this run, if it is ours."""
        with self._changed:
            return self._executions.get(flow_run_id)

    def _run(self, execution: Execution) -> None:
        try:
            execution.run()
        finally:
            with self._changed:
                del self._executions[execution.flow_run_id]
                self._changed.notify_all()
