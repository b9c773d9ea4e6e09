"""Root, admin, csrf token, logs and events."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx

from tests.wire.differences.pair import NOWHERE, After, Pair, Text
from tests.wire.differences.registry import sequence
from tests.wire.differences.sequences.making import make_flow, make_run

#: no run of this sequence sees the events of another
PREFIX = f"difference-{uuid4().hex[:8]}."


@sequence
def about_the_server(pair: Pair) -> None:
    """Health, versions, the token that nobody needs, and addresses that are not there."""
    for path in ("/health", "/hello", "/ready", "/version", "/admin/version"):
        pair.get(path)
    pair.get("/csrf-token")
    pair.get("/csrf-token", params={"client": NOWHERE})
    pair.get("/no_such_place")
    pair.call("PUT", "/health", None)
    pair.get("/flows/")
    for path in ("/flows", "/flow_runs", "/work_pools", "/deployments", "/flows/filter/"):
        pair.get(path)
        pair.post(path, {})


@sequence
def logs(pair: Pair) -> None:
    """Lines of known and unknown runs; filters by every field; order, limits."""
    run = make_run(pair, make_flow(pair))
    lines = [
        {
            "name": "penstock.test",
            "level": level,
            "message": message,
            "timestamp": f"2026-11-20T10:00:{second:02}Z",
            "flow_run_id": run["id"],
        }
        for second, (level, message) in enumerate(
            [(10, "first"), (20, "second"), (30, "third"), (40, "äöü \U0001f600"), (50, "fifth")]
        )
    ]
    pair.post("/logs/", [])
    pair.post("/logs/", lines)
    pair.post("/logs/", [{**lines[0], "flow_run_id": NOWHERE}])
    pair.post("/logs/", [{**lines[0], "flow_run_id": None, "task_run_id": NOWHERE}])
    pair.post("/logs/", [{**lines[0], "worker_id": NOWHERE}])
    for change in (
        {"level": "x"},
        {"level": None},
        {"message": None},
        {"timestamp": "yesterday"},
        {"timestamp": None},
        {"extra": 1},
        {"name": ""},
        {"level": 3.5},
        {"level": -1},
        {"message": ""},
    ):
        pair.post("/logs/", [{**lines[0], **change}])
    of_run = {"flow_run_id": {"any_": [run["id"]]}}
    for part in (
        {},
        {"level": {"ge_": 30}},
        {"level": {"le_": 20}},
        {"level": {"ge_": 20, "le_": 40}},
        {"timestamp": {"after_": "2026-11-20T10:00:02Z"}},
        {"timestamp": {"before_": "2026-11-20T10:00:02Z"}},
        {"text": {"query": "second"}},
        {"text": {"query": "first -second"}},
        {"text": {"query": '"first"'}},
        {"text": {"query": "+first"}},
        {"text": {"query": ""}},
        {"task_run_id": {"is_null_": True}},
        {"task_run_id": {"any_": [NOWHERE]}},
        {"operator": "or_", "level": {"ge_": 50}},
        {"no_such_field": 1},
    ):
        pair.post("/logs/filter", {"logs": {**of_run, **part}})
    for extra in (
        {"sort": "TIMESTAMP_DESC"},
        {"sort": "TIMESTAMP_ASC"},
        {"sort": "NAME"},
        {"limit": 2},
        {"limit": 2, "offset": 1},
        {"offset": 100},
    ):
        pair.post("/logs/filter", {"logs": of_run, **extra})
    pair.post("/logs/filter", {"logs": {"flow_run_id": {"any_": []}}})


@sequence
def events(pair: Pair) -> None:
    """Events written, doubled, refused, filtered, counted."""
    now = datetime.now(UTC).replace(microsecond=0)
    run = make_run(pair, make_flow(pair))
    made = [
        {
            "id": str(uuid4()),
            "occurred": (now - timedelta(minutes=10 - i)).isoformat(),
            "event": f"{PREFIX}{kind}",
            "resource": {"prefect.resource.id": f"{PREFIX}{i}", "kind": kind},
            "related": [
                {"prefect.resource.id": PREFIX + "parent", "prefect.resource.role": "parent"}
            ],
            "payload": {"number": i, "nested": {"a": [1, None]}},
        }
        for i, kind in enumerate(["apple", "pear", "apple", "plum"])
    ]
    pair.post("/events", [])
    pair.post("/events", made)
    pair.post("/events", made[:2])
    for change in (
        {"resource": {}},
        {"resource": {"prefect.resource.id": ""}},
        {"related": [{"prefect.resource.id": "x"}]},
        {"event": None},
        {"event": "x" * 1025},
        {"occurred": "soon"},
        {"id": "no-id"},
        {"follows": "no-id"},
        {"extra": 1},
    ):
        pair.post("/events", [{**made[0], **change}])
    since = (now - timedelta(minutes=30)).isoformat()
    asked = {"occurred": {"since": since}, "event": {"prefix": [PREFIX]}}

    def stored(server: httpx.Client) -> None:
        """Events are stored a few seconds after they were taken."""
        until = time.monotonic() + 20
        while server.post("/events/filter", json={"filter": asked}).json()["total"] < len(made):
            if time.monotonic() > until:
                raise RuntimeError("The events were not stored within 20 s")
            time.sleep(0.2)

    pair.each(stored)
    for part in (
        {},
        {"event": {"name": [PREFIX + "apple"]}},
        {"event": {"prefix": [PREFIX], "exclude_name": [PREFIX + "apple"]}},
        {"resource": {"id": [PREFIX + "1"]}},
        {"resource": {"id_prefix": [PREFIX]}},
        {"resource": {"labels": {"kind": ["pl*"]}}},
        {"resource": {"labels": {"kind": ["!apple"]}}},
        {"related": {"id": [PREFIX + "parent"]}},
        {"related": {"role": ["parent"]}},
        {"related": {"resources_in_roles": [[PREFIX + "parent", "parent"]]}},
        {"any_resource": {"id": [PREFIX + "parent"]}},
        {"id": {"id": [made[1]["id"]]}},
        {"order": "ASC"},
        {"occurred": {"since": since, "until": (now - timedelta(minutes=9)).isoformat()}},
        {"no_such_field": 1},
    ):
        pair.post("/events/filter", {"filter": {**asked, **part}})
    for limit in (1, 2, 50, 51, 0, -1):
        pair.post("/events/filter", {"filter": asked, "limit": limit})
    for countable in ("day", "time", "event", "resource", "nothing"):
        pair.post("/events/count-by/{countable}", {"filter": asked}, countable=countable)
    window = {"occurred": {"since": since, "until": now.isoformat()}, "event": asked["event"]}
    pair.post(
        "/events/count-by/{countable}",
        {"filter": window, "time_unit": "minute", "time_interval": 5},
        countable="time",
    )
    first = pair.post("/events/filter", {"filter": asked, "limit": 2})
    token = After("page-token=", first["next_page"])
    pair.get("/events/filter/next", params={"page-token": token})
    pair.get("/events/filter/next", params={"page-token": "nonsense"})
    pair.get("/events/filter/next")
    of_run = {"resource": {"id": [Text("prefect.flow-run.{}", run["id"])]}, "order": "ASC"}
    pair.post(
        "/flow_runs/{id}/set_state", {"state": {"type": "RUNNING", "name": "Going"}}, id=run["id"]
    )
    pair.post("/events/filter", {"filter": {**of_run, "event": {"name": ["no.such.event"]}}})
