"""The things that most sequences start with."""

from typing import Any

from tests.wire.differences.pair import Answer, Pair, Value


def make_flow(pair: Pair, name: str = "a-flow", **fields: Any) -> Value:
    """The id of a flow."""
    return pair.post("/flows/", {"name": name, **fields})["id"]


def make_run(pair: Pair, flow: Value, state: Any = None, **fields: Any) -> Answer:
    """A flow run; `state` is a type or a whole state."""
    body = {"flow_id": flow, **fields}
    if state is not None:
        body["state"] = {"type": state} if isinstance(state, str) else state
    return pair.post("/flow_runs/", body)


def make_deployment(pair: Pair, flow: Value, name: str = "a-deployment", **fields: Any) -> Answer:
    """A deployment."""
    return pair.post("/deployments/", {"flow_id": flow, "name": name, **fields})


def make_pool(pair: Pair, name: str = "a-pool", **fields: Any) -> Answer:
    """A work pool."""
    return pair.post("/work_pools/", {"name": name, "type": "process", **fields})


def set_state(pair: Pair, run: Answer, state: Any, **fields: Any) -> Answer:
    """A proposed state; `state` is a type or a whole state."""
    body = {"state": {"type": state} if isinstance(state, str) else state, **fields}
    return pair.post("/flow_runs/{id}/set_state", body, id=run["id"])
