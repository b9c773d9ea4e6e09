"""Concurrency limits of both kinds, leases, and the limits of deployments.

Task runs under limits of their tags are not compared: on SQLite the peer blocks itself for a minute
at each of them.
"""

from tests.wire.differences.pair import NOWHERE, Pair
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_deployment, make_flow, set_state

V1 = "/concurrency_limits/"
V2 = "/v2/concurrency_limits/"


@sequence
def limits_of_tags(pair: Pair) -> None:
    """Made, read, reset, counted up and down, deleted."""
    limit = pair.post(V1, {"tag": "one", "concurrency_limit": 2})
    for body in (
        {"tag": "one", "concurrency_limit": 3},
        {"tag": "zero", "concurrency_limit": 0},
        {"tag": "negative", "concurrency_limit": -1},
        {"tag": "", "concurrency_limit": 1},
        {"tag": "x"},
        {"tag": "x", "concurrency_limit": 1, "no_such_field": 1},
    ):
        pair.post(V1, body)
    pair.get("/concurrency_limits/{id}", id=limit["id"])
    for tag in ("one", "zero", "nobody"):
        pair.get("/concurrency_limits/tag/{tag}", tag=tag)
    tasks = [f"30000000-0000-4000-8000-00000000000{i}" for i in range(4)]
    for names, task_run_id in (
        (["one"], tasks[0]),
        (["one"], tasks[0]),
        (["one", "nobody"], tasks[1]),
        (["one"], tasks[2]),
        (["zero"], tasks[3]),
        (["nobody"], tasks[3]),
        ([], tasks[3]),
    ):
        body = {"names": names, "task_run_id": task_run_id}
        pair.post("/concurrency_limits/increment", body)
        pair.get("/concurrency_limits/tag/{tag}", tag="one")
    for names, task_run_id in ((["one"], tasks[0]), (["one"], tasks[0]), (["nobody"], tasks[0])):
        pair.post("/concurrency_limits/decrement", {"names": names, "task_run_id": task_run_id})
        pair.get("/concurrency_limits/tag/{tag}", tag="one")
    reset = "/concurrency_limits/tag/{tag}/reset"
    for body in ({}, {"slot_override": tasks[:2]}, {"slot_override": []}, {"slot_override": ["x"]}):
        pair.post(reset, body, tag="one")
        pair.get("/concurrency_limits/tag/{tag}", tag="one")
    pair.post(reset, {}, tag="nobody")
    pair.post("/concurrency_limits/filter", {})
    pair.post("/concurrency_limits/filter", {"limit": 1, "offset": 1})
    pair.delete("/concurrency_limits/tag/{tag}", tag="one")
    pair.delete("/concurrency_limits/tag/{tag}", tag="one")
    pair.delete("/concurrency_limits/{id}", id=limit["id"])
    pair.get("/concurrency_limits/{id}", id=limit["id"])
    other = pair.post(V1, {"tag": "other", "concurrency_limit": 1})
    pair.delete("/concurrency_limits/{id}", id=other["id"])
    pair.post(V1, {"tag": "a/b", "concurrency_limit": 1})


@sequence
def shared_limits(pair: Pair) -> None:
    """Limits by name: made, changed, counted up and down without leases."""
    limit = pair.post(V2, {"name": "one", "limit": 2})
    one = "/v2/concurrency_limits/{id_or_name}"
    for body in (
        {"name": "one", "limit": 1},
        {"name": "decays", "limit": 2, "slot_decay_per_second": 0.5},
        {"name": "off", "limit": 1, "active": False},
        {"name": "zero", "limit": 0},
        {"name": "negative", "limit": -1},
        {"name": "", "limit": 1},
        {"name": "a/b", "limit": 1},
        {"name": "x", "limit": 1, "active_slots": 1},
        {"name": "y", "limit": 1, "active_slots": -1},
        {"name": "z", "limit": 1, "slot_decay_per_second": -1},
        {"name": "w", "limit": 1, "no_such_field": 1},
        {"limit": 1},
    ):
        pair.post(V2, body)
    for name in (limit["id"], "one", "nobody", NOWHERE):
        pair.get(one, id_or_name=name)
    for body in (
        {"limit": 3},
        {"limit": -1},
        {"limit": None},
        {"name": "renamed"},
        {"name": "zero"},
        {"name": "one"},
        {"active_slots": 1},
        {"active": False},
        {"active": True},
        {"active_slots": 0},
        {"slot_decay_per_second": 1},
        {"slot_decay_per_second": 0},
        {},
    ):
        pair.patch(one, body, id_or_name=limit["id"])
        pair.get(one, id_or_name=limit["id"])
    for slots, names, extra in (
        (1, ["one"], {}),
        (2, ["one"], {}),
        (1, ["one"], {}),
        (1, ["one", "zero"], {}),
        (5, ["one"], {}),
        (1, ["off"], {}),
        (0, ["one"], {}),
        (-1, ["one"], {}),
        (1, [], {}),
        (1, ["nobody"], {}),
        (1, ["nobody"], {"create_if_missing": True}),
        (1, ["decays"], {"mode": "rate_limit"}),
        (1, ["one"], {"mode": "rate_limit"}),
        (1, ["one"], {"mode": "whatever"}),
    ):
        pair.post(V2 + "increment", {"slots": slots, "names": names, **extra})
        pair.get(one, id_or_name="one")
    for slots, names, extra in (
        (1, ["one"], {}),
        (9, ["one"], {"occupancy_seconds": 2.5}),
        (1, ["nobody"], {}),
        (1, ["nobody-else"], {"create_if_missing": True}),
        (0, ["one"], {}),
        (1, ["one"], {"occupancy_seconds": -1}),
    ):
        pair.post(V2 + "decrement", {"slots": slots, "names": names, **extra})
        pair.get(one, id_or_name="one")
    for body in ({}, {"limit": 1}, {"limit": 2, "offset": 1}):
        pair.post(V2 + "filter", body)
    pair.delete(one, id_or_name="one")
    pair.delete(one, id_or_name="one")
    pair.delete(one, id_or_name=NOWHERE)


@sequence
def leases(pair: Pair) -> None:
    """Slots that are leased, renewed, given back."""
    pair.post(V2, {"name": "one", "limit": 2})
    pair.post(V2, {"name": "off", "limit": 1, "active": False})
    take = V2 + "increment-with-lease"
    give = V2 + "decrement-with-lease"
    renew = "/v2/concurrency_limits/leases/{lease_id}/renew"
    one = "/v2/concurrency_limits/{id_or_name}"
    first = pair.post(take, {"slots": 1, "names": ["one"]})
    holder = {"type": "flow_run", "id": NOWHERE}
    for body in (
        {"slots": 1, "names": ["one"], "holder": holder, "lease_duration": 120},
        {"slots": 1, "names": ["one"]},
        {"slots": 5, "names": ["one"]},
        {"slots": 1, "names": ["off"]},
        {"slots": 1, "names": ["nobody"]},
        {"slots": 1, "names": ["nobody", "one"]},
        {"slots": 0, "names": ["one"]},
        {"slots": 1, "names": ["one"], "lease_duration": 1},
        {"slots": 1, "names": ["one"], "lease_duration": 100_000},
        {"slots": 1, "names": ["one"], "holder": {"type": "whatever", "id": NOWHERE}},
        {"slots": 1, "names": ["one"], "mode": "rate_limit"},
    ):
        pair.post(take, body)
        pair.get(one, id_or_name="one")
    for body in ({}, {"lease_duration": 120}, {"lease_duration": 1}, {"lease_duration": "x"}):
        pair.post(renew, body, lease_id=first["lease_id"])
    pair.post(renew, {}, lease_id=NOWHERE)
    for _ in range(2):
        pair.post(give, {"lease_id": first["lease_id"]})
        pair.get(one, id_or_name="one")
    pair.post(give, {"lease_id": NOWHERE})
    pair.post(renew, {}, lease_id=first["lease_id"])


@sequence
def deployments_under_limits(pair: Pair) -> None:
    """Runs of a deployment take slots at PENDING: they wait, are cancelled, may not run."""
    flow = make_flow(pair)
    pair.post(V2, {"name": "shared", "limit": 1})
    shared = pair.get("/v2/concurrency_limits/{id_or_name}", id_or_name="shared")
    for i, fields in enumerate(
        (
            {"concurrency_limit": 1},
            {
                "concurrency_limit": 1,
                "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
            },
            {"global_concurrency_limit_id": shared["id"]},
        )
    ):
        deployment = make_deployment(pair, flow, f"d{i}", **fields)
        runs = [
            pair.post("/deployments/{id}/create_flow_run", {"name": n}, id=deployment["id"])
            for n in ("first", "second", "third")
        ]
        for run in runs[:2]:
            set_state(pair, run, "PENDING")
            pair.get("/flow_runs/{id}", id=run["id"])
        pair.get("/deployments/{id}", id=deployment["id"])
        set_state(pair, runs[0], "RUNNING")
        set_state(pair, runs[0], {"type": "PENDING", "name": "Submitting"})
        pair.get("/deployments/{id}", id=deployment["id"])
        set_state(pair, runs[0], "COMPLETED")
        pair.get("/deployments/{id}", id=deployment["id"])
        set_state(pair, runs[2], "PENDING")
        set_state(pair, runs[1], "PENDING", force=True)
        pair.get("/deployments/{id}", id=deployment["id"])
        pair.delete("/flow_runs/{id}", id=runs[2]["id"])
        pair.get("/deployments/{id}", id=deployment["id"])
