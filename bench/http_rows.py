"""Rows measured by sending requests: creates, lifecycles, polls and logs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bench.bodies import (
    BULK_RUNS,
    LOG_LINES,
    bulk_creates,
    creates,
    iso,
    lifecycles,
    log_posts,
    repeated,
)
from bench.loadgen import Load, MakeIteration
from bench.measurement import Effort, Measurement, Row, Sample, finish, session
from bench.seed import seed_due
from bench.targets import Target

PAGE = 200
#: connections of a bulk create and of log lines
BULK_CONNECTIONS = 4
LOG_CONNECTIONS = 4
#: between two creates while log lines come in, seconds
CREATE_PAUSE = 0.02


def warm_up(target: Target, make: MakeIteration) -> None:
    finish(Load(target.api, 0.3, max_iterations=10).add("warm-up", make), target)


def _create_alone(target: Target, effort: Effort) -> dict[str, float]:
    make = creates(target.api, target.deployment_id)
    warm_up(target, make)
    result = finish(Load(target.api, effort.seconds).add("create", make), target)
    return {"create": result.percentile_ms("create", 50)}


def _create_many(target: Target, effort: Effort) -> dict[str, float]:
    make = creates(target.api, target.deployment_id)
    warm_up(target, make)
    result = finish(Load(target.api, effort.seconds).add("create", make, 64), target)
    return {"create-64": result.per_second("create")}


def _lifecycle(target: Target, effort: Effort) -> dict[str, float]:
    make = lifecycles(target.api, target.deployment_id)
    warm_up(target, make)
    result = finish(Load(target.api, effort.seconds).add("run", make, 16), target)
    return {"lifecycle": result.per_second("run")}


def _bulk(target: Target, effort: Effort) -> dict[str, float]:
    make = bulk_creates(target.api, target.deployment_id)
    warm_up(target, make)
    load = Load(target.api, effort.seconds).add("bulk", make, BULK_CONNECTIONS)
    return {"bulk": finish(load, target).per_second("bulk") * BULK_RUNS}


def _logs(target: Target, effort: Effort) -> dict[str, float]:
    load = Load(target.api, effort.seconds)
    load.add("logs", log_posts(target.api), LOG_CONNECTIONS)
    make = creates(target.api, target.deployment_id)
    load.add("create", make, 1, pause_seconds=CREATE_PAUSE)
    result = finish(load, target)
    return {
        "logs": result.per_second("logs") * LOG_LINES,
        "logs-create": result.percentile_ms("create", 99),
    }


@contextmanager
def _poll(target: Target, effort: Effort) -> Iterator[Sample]:
    pool = seed_due(target, effort.due)
    path = f"/work_pools/{pool}/get_scheduled_flow_runs"

    def sample() -> dict[str, float]:
        before = iso(datetime.now(UTC) + timedelta(seconds=10))
        body = {"work_queue_names": [], "limit": PAGE, "scheduled_before": before}
        make = repeated("poll", target.api.post(path, body), runs=min(PAGE, effort.due))
        warm_up(target, make)
        result = finish(Load(target.api, effort.seconds).add("poll", make), target)
        return {"poll": result.percentile_ms("poll", 50)}

    yield sample


MEASUREMENTS = [
    Measurement(
        "create",
        (Row("create", "create_flow_run, 1 client", "p50, ms", 2, 4),),
        session(_create_alone),
    ),
    Measurement(
        "create-64",
        (Row("create-64", "create_flow_run, 64 clients", "/s", 1500, 700, rate=True),),
        session(_create_many),
    ),
    Measurement(
        "lifecycle",
        (
            Row(
                "lifecycle",
                "create, PENDING, RUNNING, COMPLETED; 16 clients",
                "/s",
                400,
                200,
                rate=True,
            ),
        ),
        session(_lifecycle),
    ),
    Measurement(
        "bulk",
        (
            Row(
                "bulk",
                f"bulk create, {BULK_RUNS} runs a request, {BULK_CONNECTIONS} clients",
                "runs/s",
                10_000,
                10_000,
                rate=True,
            ),
        ),
        session(_bulk),
    ),
    Measurement(
        "logs",
        (
            Row(
                "logs",
                f"log lines, {LOG_LINES} a request, {LOG_CONNECTIONS} clients",
                "lines/s",
                40_000,
                20_000,
                rate=True,
            ),
            Row("logs-create", "create_flow_run meanwhile, every 20 ms", "p99, ms", 20, 20),
        ),
        session(_logs),
    ),
]
#: after the lists, which its runs would make longer
POLL = Measurement(
    "poll",
    (Row("poll", f"poll of a queue with {{due:,}} due runs, {PAGE} asked", "p50, ms", 10, 10),),
    _poll,
)
