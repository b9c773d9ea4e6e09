"""Rows about starting up and doing nothing."""

import heapq
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bench.bodies import iso
from bench.loadgen import Api, Connection
from bench.measurement import Effort, Measurement, NotMeasured, Row, Sample, session
from bench.targets import Target

WORKERS = 200
POLL_SECONDS = 10


def _import(target: Target, _effort: Effort) -> dict[str, float]:
    package = target.package
    python = str(target.python)
    return {
        "import": _wall_ms(target, python, "-c", f"import {package}"),
        "import-flow": _wall_ms(target, python, "-c", f"from {package} import flow, task"),
        "help": _wall_ms(target, str(target.bin / package), "--help"),
    }


def _wall_ms(target: Target, *command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=target.environment(), capture_output=True, check=True, timeout=60)
    return (time.perf_counter() - began) * 1000


def _ready(target: Target, _effort: Effort) -> dict[str, float]:
    fresh = target.fresh()
    try:
        return {"ready": fresh.start()}
    finally:
        fresh.stop()


def _idle(target: Target, effort: Effort) -> dict[str, float]:
    began, used = time.perf_counter(), target.cpu_seconds()
    time.sleep(effort.idle_seconds)
    wall = time.perf_counter() - began
    cpu = (target.cpu_seconds() - used) / wall * 100
    return {"idle-memory": target.resident_mb(), "idle-cpu": cpu}


def _statements(target: Target, effort: Effort) -> dict[str, float]:
    command = [str(target.python), "-m", "bench.idle_statements", target.fresh().database_url]
    done = subprocess.run(
        [*command, str(effort.statement_seconds)],
        capture_output=True,
        text=True,
        timeout=effort.statement_seconds + 60,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(done.stderr[-500:])
    return {"statements": float(done.stdout)}


@contextmanager
def _workers(target: Target, effort: Effort) -> Iterator[Sample]:
    pool = target.create_pool()

    def sample() -> dict[str, float]:
        began, used = time.perf_counter(), target.cpu_seconds()
        refused = _IdleWorkers(target.api, pool).run(effort.worker_seconds)
        if refused:
            raise NotMeasured(f"{refused} requests of workers were refused")
        wall = time.perf_counter() - began
        return {"workers": (target.cpu_seconds() - used) / wall * 100}

    yield sample


class _IdleWorkers:
    """Workers with nothing to do: each polls every 10 s on a new connection, since an HTTP client
    drops idle ones after 5 s; every third time it also reads its pool and sends a heartbeat.
    """

    def __init__(self, api: Api, pool: str) -> None:
        self._api = api
        self._pool = f"/work_pools/{pool}"

    def run(self, seconds: float) -> int:
        """Poll for so long; how many requests were refused."""
        chance = random.Random(1)
        due = [(chance.uniform(0, POLL_SECONDS), worker, worker) for worker in range(WORKERS)]
        heapq.heapify(due)
        calls: list[Future[int]] = []
        began = time.perf_counter()
        with ThreadPoolExecutor(16) as threads:
            while due[0][0] < seconds:
                at, worker, cycle = heapq.heappop(due)
                time.sleep(max(0.0, began + at - time.perf_counter()))
                calls.append(threads.submit(self._cycle, worker, cycle))
                after = at + POLL_SECONDS * chance.uniform(0.7, 1.3)
                heapq.heappush(due, (after, worker, cycle + 1))
            time.sleep(max(0.0, began + seconds - time.perf_counter()))
        return sum(call.result() for call in calls)

    def _cycle(self, worker: int, cycle: int) -> int:
        api, pool = self._api, self._pool
        before = iso(datetime.now(UTC) + timedelta(seconds=10))
        poll = {"work_queue_names": [], "scheduled_before": before}
        requests = [api.post(f"{pool}/get_scheduled_flow_runs", poll)]
        if cycle % 3 == 0:
            heartbeat = {"name": f"worker-{worker}", "heartbeat_interval_seconds": 30}
            requests += [api.get(pool), api.post(f"{pool}/workers/heartbeat", heartbeat)]
        connection = Connection(api.address)
        refused = sum(connection.call(raw)[0] >= 400 for raw in requests)
        connection.close()
        return refused


MEASUREMENTS = [
    Measurement(
        "idle",
        (
            Row("idle-memory", "idle server, resident memory", "MiB", 100, 100),
            Row("idle-cpu", "idle server, processor", "% of a core", 1, 1),
        ),
        session(_idle),
    ),
    Measurement(
        "statements",
        (Row("statements", "idle server, SQL statements", "/s", 1, 1),),
        session(_statements),
        repeated="once",
        targets=("sqlite", "postgres"),
    ),
    Measurement(
        "start",
        (
            Row("import", "`import penstock`", "ms", 120),
            Row("import-flow", "`from penstock import flow, task`", "ms"),
            Row("help", "`penstock --help`", "ms", 200),
        ),
        session(_import),
        repeated="starts",
        targets=("sqlite", "peer"),
    ),
    Measurement(
        "ready",
        (Row("ready", "server ready, new database", "s", 1.5, 1.5),),
        session(_ready),
        repeated="starts",
    ),
    Measurement(
        "workers",
        (Row("workers", f"server with {WORKERS} idle polling workers", "% of a core", 5, 5),),
        _workers,
    ),
]
