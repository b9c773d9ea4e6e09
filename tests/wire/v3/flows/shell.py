"""Runs `prefect` commands, one per line of stdin, each in a process of its own.

Every process is forked from this one, which has imported the client before: a command costs a
moment instead of seconds. Answers with a line of JSON.
"""

import json
import os
import sys
import tempfile
import traceback
from importlib import import_module
from typing import Any

from prefect.cli import app

for name in (
    *("artifact", "automation", "block", "concurrency_limit", "config", "deploy", "deployment"),
    *("events", "flow", "flow_run", "global_concurrency_limit", "task", "task_run", "variable"),
    *("work_pool", "work_queue", "worker"),
):
    import_module(f"prefect.cli.{name}")


def run(args: list[str]) -> dict[str, Any]:
    """What `prefect ARGS` said, and its exit code."""
    with tempfile.TemporaryFile("w+") as said, open(os.devnull) as nothing:
        child = os.fork()
        if child == 0:
            os.dup2(nothing.fileno(), 0)
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            os._exit(command(args))
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "out": said.read()}


def command(args: list[str]) -> int:
    """Be `prefect ARGS`; the exit code."""
    sys.argv = ["prefect", *args]
    code: Any = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
