"""Flow runs: made, changed, deleted."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import (
    make_deployment,
    make_flow,
    make_pool,
    make_run,
    set_state,
)

STATES = (
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "CRASHED",
    "PAUSED",
    "CANCELLING",
)


@sequence
def runs_made(pair: Pair) -> None:
    """Every field of the body; names, tags, labels, documents; what is refused."""
    flow = make_flow(pair, labels={"from": "flow", "both": "flow"})
    run = make_run(pair, flow)
    pair.get("/flow_runs/{id}", id=run["id"])
    for fields in (
        {"name": "given"},
        {"name": ""},
        {"name": None},
        {"tags": ["b", "a", "b"]},
        {"labels": {"both": "run", "n": 1}},
        {"labels": {"bad": {"x": 1}}},
        {"parameters": {"a": 1, "b": [1.5, None, {"c": "d"}]}},
        {"parameters": {"kind": {"__prefect_kind": "json", "value": "[1, 2]"}}},
        {"parameters": [1]},
        {"context": {"x": 1}},
        {"infrastructure_pid": "123"},
        {"empirical_policy": {"retries": 3, "retry_delay": 5}},
        {"empirical_policy": {"retries": 1, "max_retries": 7, "retry_delay_seconds": 2.5}},
        {"empirical_policy": {"retries": "x"}},
        {"empirical_policy": {"pause_keys": ["k"], "resuming": True, "retry_type": "in_process"}},
        {"empirical_policy": {"retry_type": "sometimes"}},
        {"empirical_policy": {"no_such_field": 1}},
        {"flow_version": "v1"},
        {"deployment_version": "7"},
        {"parent_task_run_id": NOWHERE},
        {"job_variables": {"a": 1}},
        {"work_pool_name": "nobody"},
        {"work_queue_name": "nobody"},
        {"work_pool_name": "nobody", "work_queue_name": "nobody"},
        {"infrastructure_document_id": NOWHERE},
        {"id": NOWHERE},
        {"flow_id": NOWHERE},
        {"flow_id": "x"},
        {"idempotency_key": ""},
    ):
        made = make_run(pair, flow, **fields)
        pair.get("/flow_runs/{id}", id=made["id"])


@sequence
def runs_made_in_a_state(pair: Pair) -> None:
    """Every first state, with the fields that states have; the history that is left."""
    flow = make_flow(pair)
    for state in (
        *({"type": kind} for kind in STATES),
        {"type": "COMPLETED", "name": "Fine", "message": "All is well"},
        {"type": "COMPLETED", "data": {"a": [1, None]}},
        {"type": "COMPLETED", "data": {"type": "unpersisted"}},
        {"type": "SCHEDULED", "state_details": {"scheduled_time": "2030-01-01T00:00:00Z"}},
        {"type": "SCHEDULED", "state_details": {"scheduled_time": "2020-01-01T00:00:00+02:00"}},
        {"type": "SCHEDULED", "name": "Late"},
        {
            "type": "PAUSED",
            "state_details": {"pause_timeout": "2030-01-01T00:00:00Z", "pause_key": "1"},
        },
        {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}},
        {"type": "RUNNING", "state_details": {"transition_id": NOWHERE}},
        {"type": "RUNNING", "state_details": {"no_such_field": 1}},
        {"type": "RUNNING", "name": ""},
        {"type": "RUNNING", "name": "x" * 300},
        {"type": "running"},
        {"type": "STOPPED"},
        {"name": "Running"},
        {"type": "RUNNING", "id": NOWHERE},
        {"type": "RUNNING", "timestamp": "2020-01-01T00:00:00Z"},
    ):
        run = make_run(pair, flow, state)
        pair.get("/flow_runs/{id}", id=run["id"])
        history = pair.get("/flow_run_states/", params={"flow_run_id": run["id"]})
        pair.get("/flow_run_states/{id}", id=history[0]["id"])
    pair.get("/flow_run_states/")
    pair.get("/flow_run_states/", params={"flow_run_id": "x"})
    pair.get("/flow_run_states/", params={"flow_run_id": NOWHERE})


@sequence
def runs_repeated_with_a_key(pair: Pair) -> None:
    """A second create with the same key answers with the first run, whatever it asks for."""
    one, two = make_flow(pair, "one"), make_flow(pair, "two")
    first = make_run(pair, one, idempotency_key="k", name="first", parameters={"a": 1})
    make_run(pair, one, idempotency_key="k", name="second", parameters={"a": 2})
    set_state(pair, first, "RUNNING")
    make_run(pair, one, "COMPLETED", idempotency_key="k")
    make_run(pair, two, idempotency_key="k")
    make_run(pair, one, idempotency_key="other")
    pair.delete("/flow_runs/{id}", id=first["id"])
    make_run(pair, one, idempotency_key="k", name="again")
    pair.post("/flow_runs/count", {"flow_runs": {"idempotency_key": {"any_": ["k"]}}})
    deployment = make_deployment(pair, one)
    path = "/deployments/{id}/create_flow_run"
    pair.post(path, {"idempotency_key": "d"}, id=deployment["id"])
    pair.post(path, {"idempotency_key": "d", "parameters": {"x": 1}}, id=deployment["id"])
    pair.post(path, {"idempotency_key": "k"}, id=deployment["id"])
    make_run(pair, one, idempotency_key="d")


@sequence
def runs_changed(pair: Pair) -> None:
    """PATCH of every field; labels; delete."""
    flow = make_flow(pair)
    run = make_run(pair, flow, name="before", tags=["a"], labels={"a": 1})
    for body in (
        {"name": "after"},
        {"name": ""},
        {"name": None},
        {"tags": ["x", "y"]},
        {"tags": None},
        {"parameters": {"p": 1}},
        {"parameters": None},
        {"flow_version": "2"},
        {"empirical_policy": {"retries": 2}},
        {"infrastructure_pid": "host:1"},
        {"infrastructure_pid": None},
        {"job_variables": {"x": 1}},
        {"job_variables": None},
        {},
        {"state": {"type": "RUNNING"}},
        {"context": {"x": 1}},
    ):
        pair.patch("/flow_runs/{id}", body, id=run["id"])
        pair.get("/flow_runs/{id}", id=run["id"])
    for labels in ({"b": 2}, {"a": "changed"}, {}, {"n": None}, {"o": {"x": 1}}, {"f": 1.5}):
        pair.patch("/flow_runs/{id}/labels", labels, id=run["id"])
        pair.get("/flow_runs/{id}", id=run["id"])
    deployment = make_deployment(pair, flow)
    scheduled = pair.post("/deployments/{id}/create_flow_run", id=deployment["id"])
    pair.patch("/flow_runs/{id}", {"job_variables": {"x": 1}}, id=scheduled["id"])
    pair.get("/flow_runs/{id}", id=scheduled["id"])
    set_state(pair, scheduled, "PENDING")
    pair.patch("/flow_runs/{id}", {"job_variables": {"x": 2}}, id=scheduled["id"])
    pair.delete("/flow_runs/{id}", id=run["id"])
    pair.delete("/flow_runs/{id}", id=run["id"])
    pair.get("/flow_runs/{id}", id=run["id"])
    pair.get("/flow_run_states/", params={"flow_run_id": run["id"]})


@sequence
def runs_with_template_variables(pair: Pair) -> None:
    """Job variables are checked against the pool's template."""
    template = {
        "job_configuration": {"image": "{{ image }}", "size": "{{ size }}"},
        "variables": {
            "type": "object",
            "properties": {
                "image": {"type": "string", "default": "slim"},
                "size": {"type": "integer"},
            },
            "required": ["size"],
        },
    }
    flow = make_flow(pair)
    pool = make_pool(pair, base_job_template=template)
    deployment = make_deployment(
        pair, flow, work_pool_name=pool["name"], job_variables={"image": "fat"}
    )
    for variables in (
        {"size": 3},
        {},
        {"size": "x"},
        {"size": 1, "image": None},
        {"size": 1, "z": 2},
    ):
        run = pair.post(
            "/deployments/{id}/create_flow_run", {"job_variables": variables}, id=deployment["id"]
        )
        pair.get("/flow_runs/{id}", id=run["id"])
    make_deployment(pair, flow, "bad", work_pool_name=pool["name"], job_variables={"size": "x"})
    pair.patch("/deployments/{id}", {"job_variables": {"size": "x"}}, id=deployment["id"])
    pair.patch("/deployments/{id}", {"job_variables": {"size": 4}}, id=deployment["id"])
    pair.post("/deployments/{id}/create_flow_run", id=deployment["id"])


@sequence
def runs_handled_together(pair: Pair) -> None:
    """Bulk delete and bulk set_state."""
    flow = make_flow(pair)
    runs = [make_run(pair, flow, name=f"n{i}") for i in range(4)]
    ids = [run["id"] for run in runs]
    of = {"flow_runs": {"id": {"any_": ids}}}
    path = "/flow_runs/bulk_set_state"
    pair.post(path, {**of, "state": {"type": "RUNNING"}})
    pair.post(path, {**of, "state": {"type": "PENDING"}})
    pair.post(path, {**of, "state": {"type": "PENDING"}, "force": True})
    pair.post(path, {**of, "state": {"type": "CANCELLED", "message": "together"}})
    pair.post(path, {"flow_runs": {"id": {"any_": [NOWHERE]}}, "state": {"type": "RUNNING"}})
    pair.post(path, {**of})
    pair.post(path, {**of, "state": {"type": "NOTHING"}})
    pair.post(path, {**of, "state": {"type": "RUNNING"}, "limit": 51})
    pair.post(path, {**of, "state": {"type": "RUNNING"}, "limit": 0})
    pair.post("/flow_runs/filter", {**of, "sort": "NAME_ASC"})
    pair.post("/flow_runs/bulk_delete", {**of, "limit": 51})
    pair.post("/flow_runs/bulk_delete", {**of})
    pair.post("/flow_runs/bulk_delete", {**of})
    pair.post("/flow_runs/count", {})


@sequence
def runs_without_deployment_in_a_pool(pair: Pair) -> None:
    """A run in a pool's queue without a deployment."""
    flow = make_flow(pair)
    make_pool(pair)
    run = make_run(pair, flow, work_pool_name="a-pool")
    pair.get("/flow_runs/{id}", id=run["id"])
    make_run(pair, flow, work_pool_name="a-pool", work_queue_name="default")
    make_run(pair, flow, work_pool_name="a-pool", work_queue_name="unknown")
