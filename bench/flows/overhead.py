"""What a task and a flow cost in the calling process; run in the target's own environment.

`overhead.py PACKAGE TASKS` prints, as JSON, milliseconds per recorded task beyond calling its
function, and the median milliseconds of a trivial flow. The server's address is in the environment.
"""

import importlib
import json
import logging
import statistics
import sys
import time

package, tasks = importlib.import_module(sys.argv[1]), int(sys.argv[2])
logging.disable(logging.INFO)


def increment(x):
    return x + 1


recorded_increment = package.task(increment)


@package.flow
def plain(count):
    for i in range(count):
        increment(i)


@package.flow
def recorded(count):
    for i in range(count):
        recorded_increment(i)


@package.flow
def trivial(x):
    return x


def seconds(call, *arguments):
    """How long a call takes, to its end: a flow returns when its history has been sent."""
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def median_seconds(call):
    """The median of 20 calls, or of the 5 or more that fit into 5 seconds."""
    found = []
    while len(found) < 20 and (len(found) < 5 or sum(found) < 5):
        found.append(seconds(call, len(found)))
    return statistics.median(found)


if __name__ == "__main__":
    recorded(20)
    plain(20)
    per_task = (seconds(recorded, tasks) - seconds(plain, tasks)) / tasks
    print(json.dumps({"task": per_task * 1000, "flow": median_seconds(trivial) * 1000}))
