"""The poll of a program that serves its own deployments."""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow, set_state


@sequence
def polls_of_deployments(pair: Pair) -> None:
    """Which runs it gives, in which order; what it does to the deployments."""
    flow = make_flow(pair)
    deployments = [make_deployment(pair, flow, name) for name in ("one", "two")]
    runs = {}
    for deployment in deployments:
        for minute in (2, 1, 3):
            state = {
                "type": "SCHEDULED",
                "state_details": {"scheduled_time": f"2026-01-01T00:0{minute}:00Z"},
            }
            runs[minute] = pair.post(
                "/deployments/{id}/create_flow_run",
                {"state": state, "name": f"n{minute}"},
                id=deployment["id"],
            )
    ids = [deployment["id"] for deployment in deployments]
    path = "/deployments/get_scheduled_flow_runs"
    for body in (
        {"deployment_ids": ids[:1]},
        {"deployment_ids": ids[:1], "limit": 2},
        {"deployment_ids": ids[:1], "scheduled_before": "2026-01-01T00:02:00Z"},
        {"deployment_ids": []},
        {"deployment_ids": [NOWHERE]},
        {"deployment_ids": ids[:1], "limit": 0},
        {"deployment_ids": ids[:1], "limit": 201},
        {},
    ):
        pair.post(path, body)
    for deployment in deployments:  # the peer marks them as polled a while after its answer
        pair.get("/deployments/{id}", id=deployment["id"])
    set_state(pair, runs[1], "PENDING")
    set_state(pair, runs[2], {"type": "SCHEDULED", "name": "AwaitingRetry"})
    pair.post(path, {"deployment_ids": ids[1:]})
    pair.post("/deployments/{id}/pause_deployment", id=ids[1])
    pair.post(path, {"deployment_ids": ids[1:]})
