"""What the benchmark sends: bodies as the clients send them, and iterations made of them."""

import itertools
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from bench.loadgen import Api, Iteration, MakeIteration

#: entries of one bulk create, lines of one request of logs
BULK_RUNS = 100
LOG_LINES = 100

_numbers = itertools.count()

JOB_TEMPLATE = {
    "job_configuration": {
        key: f"{{{{ {key} }}}}"
        for key in ("command", "env", "labels", "name", "stream_output", "working_dir")
    },
    "variables": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Name"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "command": {"type": "string", "title": "Command"},
            "stream_output": {"type": "boolean", "default": True},
            "working_dir": {"type": "string", "title": "Working Directory"},
        },
    },
}
PARAMETER_SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "n": {"title": "n", "type": "integer", "position": 0},
        "name": {"title": "name", "type": "string", "position": 1},
        "options": {"title": "options", "type": "object", "default": {}, "position": 2},
    },
    "required": ["n", "name"],
}


def iso(at: datetime) -> str:
    """A time as the wire has it."""
    return at.isoformat().replace("+00:00", "Z")


def run_fields(state: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run of a deployment as `run_deployment()` and the UI make it, each with a key of its own.

    Without a state the run is due in an hour, so that no late-marking begins meanwhile.
    """
    number = next(_numbers)
    due = iso(datetime.now(UTC) + timedelta(hours=1))
    return {
        "name": f"run-{number}",
        "parameters": {"n": number, "name": f"customer-{number % 97}", "options": {"eu": True}},
        "tags": ["bench", f"shard-{number % 16}"],
        "idempotency_key": f"{os.getpid()}-{time.time_ns()}-{number}",
        "state": state
        or {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": due}},
    }


def state_body(state_type: str) -> bytes:
    """The body of set_state."""
    state = {"type": state_type, "name": state_type.capitalize(), "state_details": {}}
    return orjson.dumps({"state": state, "force": False})


_STEPS = [(s.lower(), state_body(s)) for s in ("PENDING", "RUNNING", "COMPLETED")]


def creates(api: Api, deployment_id: str) -> MakeIteration:
    """One create_flow_run."""
    path = f"/deployments/{deployment_id}/create_flow_run"

    def iteration() -> Iteration:
        status, body = yield "create", api.post(path, run_fields())
        assert status == 201, f"create: {status} {body[:120]!r}"

    return iteration


def lifecycles(api: Api, deployment_id: str) -> MakeIteration:
    """Create, then PENDING, RUNNING and COMPLETED, each after the last; all are accepted."""
    path = f"/deployments/{deployment_id}/create_flow_run"

    def iteration() -> Iteration:
        fields = run_fields()
        del fields["state"]
        status, body = yield "create", api.post(path, fields)
        assert status == 201, f"create: {status} {body[:120]!r}"
        run = f"/flow_runs/{orjson.loads(body)['id']}/set_state"
        for label, proposal in _STEPS:
            status, body = yield label, api.post(run, proposal)
            assert b'"ACCEPT"' in body, f"{label}: {status} {body[:120]!r}"

    return iteration


def bulk_creates(api: Api, deployment_id: str) -> MakeIteration:
    """One request that creates BULK_RUNS runs."""
    path = f"/deployments/{deployment_id}/create_flow_run/bulk"

    def iteration() -> Iteration:
        raw = api.post(path, [run_fields() for _ in range(BULK_RUNS)])
        status, body = yield "bulk", raw
        made = body.count(b'"CREATED"')
        assert made == BULK_RUNS, f"bulk: {status}, {made} created, {body[:120]!r}"

    return iteration


def log_posts(api: Api) -> MakeIteration:
    """One request with LOG_LINES lines of one run; the bodies are made beforehand."""
    run_id = str(uuid4())
    now = datetime.now(UTC)
    raw = api.post(
        "/logs/",
        [
            {
                "name": "prefect.flow_runs",
                "level": 20,
                "message": f"Finished item {i} of the nightly batch; 1234 rows read, 1200 written",
                "timestamp": iso(now + timedelta(microseconds=i)),
                "flow_run_id": run_id,
            }
            for i in range(LOG_LINES)
        ],
    )
    return repeated("logs", raw)


def repeated(label: str, raw: bytes, runs: int | None = None) -> MakeIteration:
    """The same request again and again; `runs` is how many flow runs each answer must hold."""

    def iteration() -> Iteration:
        status, body = yield label, raw
        assert 200 <= status < 300, f"{label}: {status} {body[:120]!r}"
        if runs is not None:
            found = body.count(b'"empirical_policy":')
            assert found == runs, f"{label}: {found} runs instead of {runs}"

    return iteration
