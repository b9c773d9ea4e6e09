"""Input of flow runs, resuming with it, logs to download."""

import json

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import (
    make_deployment,
    make_flow,
    make_run,
    set_state,
)

INPUT = "/flow_runs/{id}/input"
ONE = "/flow_runs/{id}/input/{key}"
FUTURE = "2040-01-01T00:00:00Z"
KEYS = {"schema": "paused-1-schema", "response": "paused-1-response"}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "s": {"type": "string", "default": "x"}},
    "required": ["n"],
}


@sequence
def input_of_runs(pair: Pair) -> None:
    """Write, read, list and delete keys."""
    run = make_run(pair, make_flow(pair))
    for body in (
        {"key": "a-1", "value": '{"x": 1}'},
        {"key": "a-1", "value": "again"},
        {"key": "a-2", "value": "plain text", "sender": "somebody"},
        {"key": "b-1", "value": ""},
        {"key": "", "value": "x"},
        {"key": "with space", "value": "x"},
        {"key": "a/b", "value": "x"},
        {"key": "c"},
        {"key": "d", "value": 1},
    ):
        pair.post(INPUT, body, id=run["id"])
    pair.post(INPUT, {"key": "a", "value": "x"}, id=NOWHERE)
    for key in ("a-1", "a-2", "b-1", "nothing"):
        pair.get(ONE, id=run["id"], key=key)
    for body in (
        {"prefix": "a-"},
        {"prefix": "a-", "limit": 10},
        {"prefix": "a-", "limit": 0},
        {"prefix": "a-", "limit": 10, "exclude_keys": ["a-1"]},
        {"prefix": "", "limit": 50},
        {"prefix": "zzz"},
        {"prefix": "a_", "limit": 5},
        {},
    ):
        pair.post(INPUT + "/filter", body, id=run["id"])
    pair.delete(ONE, id=run["id"], key="a-1")
    pair.delete(ONE, id=run["id"], key="a-1")
    pair.get(ONE, id=run["id"], key="a-1")


@sequence
def runs_resumed(pair: Pair) -> None:
    """Resume of runs in every kind of pause, with and without input."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    resume = "/flow_runs/{id}/resume"
    for state in ("PENDING", "RUNNING", "COMPLETED", "SCHEDULED"):
        pair.post(resume, {}, id=make_run(pair, flow, state)["id"])
    for details in (
        {"pause_timeout": FUTURE},
        {"pause_timeout": "2020-01-01T00:00:00Z"},
        {"pause_timeout": FUTURE, "pause_reschedule": True},
        {},
    ):
        for fields in ({}, {"deployment_id": deployment["id"]}):
            run = make_run(pair, flow, {"type": "PAUSED", "state_details": details}, **fields)
            pair.post(resume, {}, id=run["id"])
            pair.post(resume, {}, id=run["id"])
            pair.get("/flow_runs/{id}", id=run["id"])
    for schema in (SCHEMA, None, "not json", []):
        for run_input in (None, {}, {"n": 1}, {"n": "one"}, {"n": {"__prefect_kind": "json"}}):
            run = make_run(pair, flow, "RUNNING")
            if schema is not None:
                text = schema if isinstance(schema, str) else json.dumps(schema)
                pair.post(INPUT, {"key": KEYS["schema"], "value": text}, id=run["id"])
            details = {"pause_timeout": FUTURE, "pause_key": "1", "run_input_keyset": KEYS}
            set_state(pair, run, {"type": "PAUSED", "state_details": details})
            pair.post(resume, {"run_input": run_input}, id=run["id"])
            pair.get("/flow_runs/{id}", id=run["id"])
            pair.get(ONE, id=run["id"], key=KEYS["response"])


@sequence
def logs_downloaded(pair: Pair) -> None:
    """The lines of a run as one file."""
    run = make_run(pair, make_flow(pair), name="of-this-name")
    download = "/flow_runs/{id}/logs/download"
    pair.get(download, id=run["id"])
    lines = [
        {
            "name": "penstock.test",
            "level": level,
            "message": message,
            "timestamp": f"2026-11-20T10:00:0{level // 10}Z",
            "flow_run_id": run["id"],
        }
        for level, message in (
            (10, "first"),
            (20, 'with "quotes", and, commas'),
            (30, "two\nlines"),
        )
    ]
    pair.post("/logs/", lines)
    pair.get(download, id=run["id"])
    pair.get(download, id=NOWHERE)
