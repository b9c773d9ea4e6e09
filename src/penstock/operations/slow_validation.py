"""Validating what would take long, in a process apart and under a deadline.

Validating holds the interpreter's lock: done here, a slow schema would stop the whole server. The
process is `python -m penstock.operations.slow_validation`: one question on its stdin, the answer
on its stdout. It ends itself at the deadline, so it outlives no server that was killed.
"""

import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from typing import Any

from penstock.core import documents
from penstock.core.errors import InvalidInput, Unavailable
from penstock.core.parameter_schemas import CompiledSchema, Problem

logger = logging.getLogger(__name__)

#: seconds that validating may take
SECONDS = 5.0
#: more for the process to start, on a loaded machine
_START_SECONDS = 5.0
#: fewer than the threads that prepare: one is always left for what is quick
AT_ONCE = 2
#: bytes of memory the process may take
_MEMORY = 4 * 2**30
_COMMAND = (sys.executable, "-P", "-m", "penstock.operations.slow_validation")

_places = threading.BoundedSemaphore(AT_ONCE)


def problems_of(schema: CompiledSchema, /, values: Any, *, required: bool = True) -> list[Problem]:
    """What `CompiledSchema.problems` says; that it takes too long is a problem too.

    Raises InvalidInput for an unusable schema, Unavailable when two slow ones are under way.
    """
    if not schema.is_slow_for(values):
        return schema.problems(values, required=required)
    if not _places.acquire(blocking=False):
        raise Unavailable(
            f"{AT_ONCE} documents that are slow to validate are being validated; try again",
            retry_after=2,
        )
    try:
        return _problems_apart(schema, values, required)
    finally:
        _places.release()


def _problems_apart(schema: CompiledSchema, values: Any, required: bool) -> list[Problem]:
    question = {
        "schema": schema.text,
        "null_for_defaults": schema.null_for_defaults,
        "values": values,
        "required": required,
        "seconds": SECONDS,
    }
    try:
        done = subprocess.run(
            _COMMAND,
            input=documents.dump(question).encode(),
            capture_output=True,
            timeout=SECONDS + _START_SECONDS,
            start_new_session=True,  # Ctrl-C is for the server
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _too_slow()
    if done.returncode == -signal.SIGALRM:
        return _too_slow()
    if done.returncode < 0:  # out of memory, or nested too deep
        name = signal.Signals(-done.returncode).name
        return [Problem((), f"validating against the schema was ended by {name}; simplify it")]
    if done.returncode:
        logger.error("Validating in a process apart failed: %s", done.stderr.decode()[-2000:])
        raise Unavailable("Validating failed; the server's log says why")
    answer = documents.load(done.stdout.decode())
    if "refused" in answer:
        raise InvalidInput(answer["refused"], schema.loc)
    return [Problem(tuple(path), message) for path, message in answer["problems"]]


def _too_slow() -> list[Problem]:
    limit = f"validating against the schema takes more than {SECONDS:.0f} s"
    return [Problem((), f"{limit}; give fewer or shorter values, or simplify the schema")]


# ------------------------------------------------------------------ the process apart


def _answer(question: Any) -> dict[str, Any]:
    try:
        schema = CompiledSchema(
            documents.load(question["schema"]), null_for_defaults=question["null_for_defaults"]
        )
        problems = schema.problems(question["values"], required=question["required"])
    except InvalidInput as e:
        return {"refused": e.message}
    return {"problems": [(problem.path, problem.message) for problem in problems]}


def main() -> None:
    """Answer the question on stdin; SIGALRM ends the process at the deadline, whatever it does."""
    # The server goes first, and the machine stays usable.
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, SECONDS + _START_SECONDS)
    question = documents.load(sys.stdin.buffer.read().decode())
    signal.setitimer(signal.ITIMER_REAL, question["seconds"])
    sys.stdout.write(documents.dump(_answer(question)))


if __name__ == "__main__":
    main()
