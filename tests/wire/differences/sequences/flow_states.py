"""Flow runs through set_state: every pair of types, and the rules one by one."""

from typing import Any

from tests.wire.differences.pair import NOWHERE, Pair, Value
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.flow_runs import STATES
from tests.wire.differences.sequences.making import (
    make_deployment,
    make_flow,
    make_run,
    set_state,
)

PAST = "2020-01-01T00:00:00Z"
FUTURE = "2040-01-01T00:00:00Z"


def _every_pair(pair: Pair, flow: Value, *, force: bool, **fields: Any) -> None:
    for before in STATES:
        for after in STATES:
            run = make_run(pair, flow, before, **fields)
            set_state(pair, run, after, force=force)
            pair.get("/flow_runs/{id}", id=run["id"])


@sequence
def every_pair_of_states(pair: Pair) -> None:
    """A run made in each state is proposed each state."""
    _every_pair(pair, make_flow(pair), force=False)


@sequence
def every_pair_of_states_forced(pair: Pair) -> None:
    """The same with `force`."""
    _every_pair(pair, make_flow(pair), force=True)


@sequence
def every_pair_of_states_of_a_deployment(pair: Pair) -> None:
    """The same for runs of a deployment that may be retried."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    policy = {"retries": 1, "retry_delay": 30}
    _every_pair(pair, flow, force=False, deployment_id=deployment["id"], empirical_policy=policy)


@sequence
def every_pair_of_named_states(pair: Pair) -> None:
    """Names that rules look at, on either side."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    states = (
        {"type": "SCHEDULED", "name": "Late"},
        {"type": "SCHEDULED", "name": "Resuming"},
        {"type": "SCHEDULED", "name": "AwaitingRetry"},
        {"type": "SCHEDULED", "state_details": {"scheduled_time": FUTURE}},
        {"type": "SCHEDULED", "state_details": {"scheduled_time": PAST}},
        {"type": "PENDING", "name": "Submitting"},
        {"type": "PENDING", "name": "InfrastructurePending"},
        {"type": "PENDING", "state_details": {"scheduled_time": FUTURE}},
        {"type": "RUNNING", "name": "Retrying"},
        {"type": "COMPLETED", "data": {"type": "result"}},
        {"type": "COMPLETED", "data": {"type": "unpersisted"}},
        {"type": "FAILED", "data": "text"},
        {"type": "PAUSED", "state_details": {"pause_timeout": PAST, "pause_key": "1"}},
        {"type": "PAUSED", "state_details": {"pause_timeout": FUTURE, "pause_key": "1"}},
        {
            "type": "PAUSED",
            "name": "Suspended",
            "state_details": {"pause_timeout": FUTURE, "pause_reschedule": True},
        },
    )
    for before in states:
        for after in states:
            run = make_run(pair, flow, before, deployment_id=deployment["id"])
            set_state(pair, run, after)
        for kind in STATES:
            run = make_run(pair, flow, before)
            set_state(pair, run, kind)
            pair.get("/flow_runs/{id}", id=run["id"])


@sequence
def proposals_that_are_refused(pair: Pair) -> None:
    """Bodies of set_state that are wrong; details that are given; repeated transitions."""
    run = make_run(pair, make_flow(pair))
    for state in (
        {},
        {"type": "NOTHING"},
        {"type": "RUNNING", "name": 7},
        {"type": "RUNNING", "timestamp": PAST},
        {"type": "RUNNING", "id": NOWHERE},
        {"type": "RUNNING", "state_details": {"retriable": "x"}},
        {"type": "RUNNING", "state_details": {"no_such_field": 1}},
        {"type": "RUNNING", "state_details": {"pause_key": "k", "cache_key": "c"}},
        {"type": "RUNNING", "message": "m" * 10_000},
        {"type": "RUNNING", "data": [1, {"a": None}]},
    ):
        set_state(pair, run, state)
        pair.get("/flow_runs/{id}", id=run["id"])
    pair.post("/flow_runs/{id}/set_state", {"force": True}, id=run["id"])
    pair.post("/flow_runs/{id}/set_state", {"state": {"type": "RUNNING"}, "x": 1}, id=run["id"])
    pair.post(
        "/flow_runs/{id}/set_state", {"state": {"type": "RUNNING"}, "force": "yes"}, id=run["id"]
    )
    same = {"transition_id": "10000000-0000-4000-8000-000000000001"}
    for kind in ("RUNNING", "RUNNING", "COMPLETED", "PENDING"):
        set_state(pair, run, {"type": kind, "state_details": same})
    pair.get("/flow_run_states/", params={"flow_run_id": run["id"]})


@sequence
def runs_retried(pair: Pair) -> None:
    """A run with two retries fails until none is left; then it is run again by hand."""
    flow = make_flow(pair)
    run = make_run(pair, flow, empirical_policy={"retries": 2, "retry_delay": 0})
    for kind in ("RUNNING", "FAILED", "RUNNING", "FAILED", "RUNNING", "FAILED", "RUNNING"):
        set_state(pair, run, {"type": kind, "message": f"now {kind}", "data": {"n": 1}})
        pair.get("/flow_runs/{id}", id=run["id"])
    set_state(pair, run, "COMPLETED")
    pair.get("/flow_run_states/", params={"flow_run_id": run["id"]})
    deployed = make_run(
        pair,
        flow,
        deployment_id=make_deployment(pair, flow)["id"],
        empirical_policy={"retries": 1, "retry_delay": 120},
    )
    for state in ("RUNNING", "FAILED", "PENDING", "RUNNING", "SCHEDULED", "CRASHED", "SCHEDULED"):
        set_state(pair, deployed, state)
        pair.get("/flow_runs/{id}", id=deployed["id"])


@sequence
def runs_paused(pair: Pair) -> None:
    """Pauses that block and pauses that reschedule; keys; going on."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    for fields in ({}, {"deployment_id": deployment["id"]}):
        for reschedule in (False, True):
            run = make_run(pair, flow, "RUNNING", **fields)
            details = {"pause_timeout": FUTURE, "pause_key": "1", "pause_reschedule": reschedule}
            pause = {"type": "PAUSED", "state_details": details}
            for state in (pause, pause, "PENDING", "RUNNING", pause, "RUNNING", "COMPLETED"):
                set_state(pair, run, state)
                pair.get("/flow_runs/{id}", id=run["id"])
    expired = make_run(pair, flow, "RUNNING")
    set_state(pair, expired, {"type": "PAUSED", "state_details": {"pause_timeout": PAST}})
    set_state(pair, expired, "RUNNING")
    pair.get("/flow_runs/{id}", id=expired["id"])


@sequence
def runs_cancelled(pair: Pair) -> None:
    """CANCELLING with and without a process to end; nothing but CANCELLED follows it."""
    flow = make_flow(pair)
    deployment = make_deployment(pair, flow)
    for state in ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "COMPLETED"):
        for pid in (None, "host:1"):
            run = make_run(
                pair, flow, state, deployment_id=deployment["id"], infrastructure_pid=pid
            )
            for kind in ("CANCELLING", "CANCELLING", "RUNNING", "COMPLETED", "CANCELLED"):
                set_state(pair, run, kind)
            pair.get("/flow_runs/{id}", id=run["id"])
    resuming = make_run(
        pair, flow, {"type": "SCHEDULED", "name": "Resuming"}, infrastructure_pid="host:1"
    )
    set_state(pair, resuming, "CANCELLING")
