"""The life of a flow run's own process; `python -m penstock.worker.child` is the same in a fresh
interpreter. What it executes is told by the environment variables below.
"""

import io
import logging
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from penstock.sdk.client import Client
from penstock.sdk.entrypoints import load_flow
from penstock.sdk.errors import PenstockError
from penstock.sdk.run import execute_flow_run
from penstock.worker.launch import Launch

FLOW_RUN_ID = "PENSTOCK_FLOW_RUN_ID"
ATTEMPT_ID = "PENSTOCK_ATTEMPT_ID"
FLOW_PATH = "PENSTOCK_FLOW_PATH"
FLOW_ENTRYPOINT = "PENSTOCK_FLOW_ENTRYPOINT"


def become_flow_run(launch: Launch, output_fd: int, flow: Any = None) -> int:
    """Turn this freshly forked process into the flow run; its exit code. `flow` saves importing
    it when the process was forked from one that has it.
    """
    _connect_streams(output_fd)
    environment = {**launch.env, **launch.run_env}
    try:
        enter(environment, launch.working_dir)
        if launch.argv:
            os.execvpe(launch.argv[0], launch.argv, environment)
    except OSError as error:
        print(f"The run's process cannot start: {error}", file=sys.stderr, flush=True)
        return 127
    if flow is not None:
        _reseed()
    return execute(flow)


def enter(environment: dict[str, str], working_dir: str | None) -> None:
    """Make `environment` and `working_dir` this process's own."""
    os.environ.clear()
    os.environ.update(environment)
    if working_dir is not None:
        os.chdir(working_dir)


def execute(flow: Any = None) -> int:
    """Execute the flow run that the environment names; 0 when it was carried to its end,
    whatever that end was.
    """
    flow_run_id = UUID(os.environ[FLOW_RUN_ID])
    if flow is None:
        try:
            flow = load_flow(os.environ[FLOW_ENTRYPOINT], os.environ.get(FLOW_PATH))
        except Exception as error:  # Whatever the user's module raises is the run's end.
            _report_unloadable(flow_run_id, error)
            return 1
    with Client() as client:
        execute_flow_run(flow, flow_run_id, client=client)
    return 0


def _report_unloadable(flow_run_id: UUID, error: Exception) -> None:
    """Say where the user looks (the run's state and logs) why its flow could not be loaded."""
    where = os.environ[FLOW_ENTRYPOINT]
    message = f"The flow could not be loaded from {where}: {type(error).__name__}: {error}"
    story = "".join(traceback.format_exception(error))
    print(story, file=sys.stderr, flush=True)
    line = {
        "name": "penstock.flow_runs",
        "level": logging.ERROR,
        "message": f"{message}\n{story}",
        "timestamp": datetime.now(UTC),
        "flow_run_id": flow_run_id,
    }
    crashed = {"type": "CRASHED", "message": message}
    with Client() as client:
        _show_refusal(lambda: client.create_logs([line]))
        attempt_id = os.environ.get(ATTEMPT_ID)
        # When even this fails, the worker sees the exit code and sets the state itself.
        _show_refusal(
            lambda: client.set_flow_run_state(flow_run_id, crashed, attempt_id=attempt_id)
        )


def _show_refusal(request: Callable[[], object]) -> None:
    try:
        request()
    except PenstockError as error:
        print(error, file=sys.stderr, flush=True)


def _connect_streams(output_fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.close(nowhere)
    os.close(output_fd)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _reseed() -> None:
    """Runs of one template must not draw the same numbers. `random` sees to itself at a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


if __name__ == "__main__":
    sys.exit(execute())
