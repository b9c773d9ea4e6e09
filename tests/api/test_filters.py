"""Filters in any combination choose what a plain reading of them chooses.

A small world is laid out once; made-up filters are answered by the server, and by functions here
that look at every row as the wire has it.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Row = dict[str, Any]
Filter = dict[str, Any]
World = dict[str, list[Row]]
#: made-up bodies of each list; `PENSTOCK_FILTERS=1000` for a long look
EXAMPLES = int(os.environ.get("PENSTOCK_FILTERS", "30"))
MISSING = "00000000-0000-0000-0000-000000000001"
START = datetime.now(UTC).replace(microsecond=0)
HOURS = [START + timedelta(hours=h) for h in (-3, -2, -1, 1, 2)]


class Server:
    """A server's API; what it refuses is an error."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def post(self, path: str, **body: Any) -> Any:
        answer = self._http.post(path, json=body)
        assert answer.is_success, f"{path} {body}: {answer.text}"
        return answer.json()


# ------------------------------------------------------------------ the world


def lay_out(server: Server) -> World:
    """Two or three of everything, in many states."""
    post = server.post
    for pool in ("Pool", "other"):
        post("/work_pools/", name=pool, type="process" if pool == "Pool" else "docker")
        post(f"/work_pools/{pool}/queues", name="slow_1")
    flows = [
        post("/flows/", name=n, tags=t)["id"]
        for n, t in (("alpha", ["a", "b"]), ("Beta_1", ["a"]), ("gamma", []))
    ]
    places = [("Pool", "default"), ("Pool", "slow_1"), (None, None)]
    deployments = [
        post(
            "/deployments/", name=f"d{i}_{'x' * (i % 2)}", flow_id=flows[i % 2],
            tags=[["a"], ["a", "b"], []][i % 3], paused=i == 1,
            work_pool_name=places[i % 3][0], work_queue_name=places[i % 3][1],
        )["id"]
        for i in range(4)
    ]  # fmt: skip
    states = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
    runs = []
    for i in range(12):
        state: Row = {"type": states[i % 6], **({"name": "Odd"} if i % 5 == 0 else {})}
        if state["type"] == "SCHEDULED":
            state["state_details"] = {"scheduled_time": HOURS[i % 5].isoformat()}
        fields: Row = {"name": f"run_{i}", "state": state, "tags": [[], ["a"], ["a", "b"]][i % 3]}
        if i % 4 == 0:
            fields["idempotency_key"] = f"key{i}"
        if i % 2:
            body = fields | {"flow_id": flows[i % 3], "flow_version": f"v{i % 2}{i % 3}"}
            runs.append(post("/flow_runs/", **body)["id"])
        else:
            path = f"/deployments/{deployments[(i // 2) % 4]}/create_flow_run"
            runs.append(post(path, **fields)["id"])
    for i in range(8):
        task = post(
            "/task_runs/", name=f"task_{i}", task_key="t", dynamic_key=str(i),
            flow_run_id=runs[i % 5] if i % 4 else None, tags=[[], ["a"], ["b"]][i % 3],
            state={"type": states[i % 6]},
        )["id"]  # fmt: skip
        if i in (1, 2):
            post("/flow_runs/", flow_id=flows[i], name=f"sub_{i}", parent_task_run_id=task)
        if i % 2:
            post("/artifacts/", key=f"k-{i}", type="table", task_run_id=task, flow_run_id=runs[i])
    post("/artifacts/", type="markdown", flow_run_id=runs[0])
    post("/artifacts/", key="k-1", flow_run_id=MISSING)
    for i, tags in enumerate([[], ["a"], ["a", "b"]]):
        post("/variables/", name=f"var_{i}", value=i, tags=tags)
    lists = ("flows", "flow_runs", "deployments", "task_runs", "work_pools", "work_queues")
    return {name: post(f"/{name}/filter") for name in (*lists, "artifacts", "variables")}


# ------------------------------------------------------------------ a plain reading of filters


def joined(filter: Filter, answers: list[bool | None]) -> bool:
    said = [a for a in answers if a is not None]
    either = filter.get("operator") == "or_"
    return not said or (any(said) if either else all(said))


def among(value: Any, filter: Filter) -> list[bool | None]:
    any_, none_of, is_null = (filter.get(k) for k in ("any_", "not_any_", "is_null_"))
    return [
        None if any_ is None else value in any_,
        None if none_of is None else not none_of or (value is not None and value not in none_of),
        None if is_null is None else (value is None) == is_null,
        *like(value, filter),
    ]


def like(value: str | None, filter: Filter) -> list[bool | None]:
    part, exists = filter.get("like_"), filter.get("exists_")
    return [
        None if part is None else value is not None and part.lower() in value.lower(),
        None if exists is None else (value is not None) == exists,
    ]


def tags(value: list[str], filter: Filter) -> list[bool | None]:
    all_, any_, is_null = (filter.get(k) for k in ("all_", "any_", "is_null_"))
    return [
        set(all_) <= set(value) if all_ else None,  # none of them asks for nothing
        None if any_ is None else bool(set(any_) & set(value)),
        None if is_null is None else (not value) == is_null,
    ]


def between(value: str | None, filter: Filter, is_null: bool | None = None) -> list[bool | None]:
    at = None if value is None else datetime.fromisoformat(value)
    before, after = filter.get("before_"), filter.get("after_")
    null = filter.get("is_null_")
    missing = value is None if is_null is None else is_null
    return [
        None if before is None else at is not None and at <= datetime.fromisoformat(before),
        None if after is None else at is not None and at >= datetime.fromisoformat(after),
        None if null is None else missing == null,
    ]


def holds(row: Row, filter: Filter, **criteria: Callable[[Filter], list[bool | None]]) -> bool:
    """Whether a row fulfils a filter whose parts are read by these functions; a part that says
    nothing holds."""
    answers: list[bool | None] = [
        joined(filter[name], criteria[name](filter[name])) for name in filter if name != "operator"
    ]
    return joined(filter, answers)


def state(row: Row, filter: Filter) -> list[bool | None]:
    answers = []
    for part in ("type", "name"):
        answers += among(row[f"state_{part}"], filter.get(part, {}))
    return answers


def started(row: Row, filter: Filter) -> list[bool | None]:
    effective = row["start_time"] or row["expected_start_time"]
    return between(effective, filter, is_null=row["start_time"] is None)


def of_run(row: Row, filter: Filter) -> list[bool | None]:
    # The contract has is_null_ false by default; it then adds nothing to any_.
    is_null = filter.get("is_null_", False)
    if filter.get("any_") is not None and not is_null:
        is_null = None
    return among(row["flow_run_id"], filter | {"is_null_": is_null})


class Oracle:
    """Answers lists as a patient reader would."""

    def __init__(self, world: World) -> None:
        self.world = world

    def one(self, kind: str, row: Row, filter: Filter) -> bool:
        checks: dict[str, Callable[[Row, Filter], bool]] = {
            "flows": self.flow,
            "flow_runs": self.flow_run,
            "task_runs": self.task_run,
            "deployments": self.deployment,
            "work_pools": self.named,
            "work_pool_queues": self.named,
            "artifacts": self.artifact,
            "variables": self.named,
        }
        return checks[kind](row, filter)

    def matching(self, kind: str, filter: Filter) -> list[Row]:
        table = {"work_pool_queues": "work_queues"}.get(kind, kind)
        return [row for row in self.world[table] if self.one(kind, row, filter)]

    def named(self, row: Row, filter: Filter) -> bool:
        starts = (filter.get("name") or {}).get("startswith_")
        name = [None if starts is None else any(row["name"].startswith(s) for s in starts)]
        return holds(
            row, filter,
            id=lambda f: among(row["id"], f),
            name=lambda f: [*among(row["name"], f), *name],
            type=lambda f: among(row["type"], f),
            tags=lambda f: tags(row["tags"], f),
        )  # fmt: skip

    def flow(self, row: Row, filter: Filter) -> bool:
        deployed = any(d["flow_id"] == row["id"] for d in self.world["deployments"])
        return holds(
            row, filter,
            id=lambda f: among(row["id"], f),
            name=lambda f: among(row["name"], f),
            tags=lambda f: tags(row["tags"], f),
            deployment=lambda f: [deployed != f["is_null_"]],
        )  # fmt: skip

    def flow_run(self, row: Row, filter: Filter) -> bool:
        tasks = {t["id"]: t["flow_run_id"] for t in self.world["task_runs"]}
        parent = tasks.get(row["parent_task_run_id"])
        return holds(
            row, filter,
            id=lambda f: among(row["id"], f),
            name=lambda f: among(row["name"], f),
            tags=lambda f: tags(row["tags"], f),
            deployment_id=lambda f: among(row["deployment_id"], f),
            work_queue_name=lambda f: among(row["work_queue_name"], f),
            state=lambda f: state(row, f),
            flow_version=lambda f: among(row["flow_version"], f),
            start_time=lambda f: started(row, f),
            end_time=lambda f: between(row["end_time"], f),
            expected_start_time=lambda f: between(row["expected_start_time"], f),
            next_scheduled_start_time=lambda f: between(row["next_scheduled_start_time"], f),
            parent_flow_run_id=lambda f: [parent is not None and parent in f["any_"]],
            parent_task_run_id=lambda f: among(row["parent_task_run_id"], f),
            idempotency_key=lambda f: among(row["idempotency_key"], f),
        )  # fmt: skip

    def task_run(self, row: Row, filter: Filter) -> bool:
        parents = {r["parent_task_run_id"] for r in self.world["flow_runs"]}
        return holds(
            row, filter,
            id=lambda f: among(row["id"], f),
            name=lambda f: among(row["name"], f),
            tags=lambda f: tags(row["tags"], f),
            state=lambda f: state(row, f),
            start_time=lambda f: started(row, f),
            end_time=lambda f: between(row["end_time"], f),
            expected_start_time=lambda f: between(row["expected_start_time"], f),
            subflow_runs=lambda f: [(row["id"] in parents) == f["exists_"]],
            flow_run_id=lambda f: of_run(row, f),
        )  # fmt: skip

    def deployment(self, row: Row, filter: Filter) -> bool:
        flows = {f["id"]: f["name"] for f in self.world["flows"]}
        return holds(
            row, filter,
            id=lambda f: among(row["id"], f),
            name=lambda f: among(row["name"], f),
            tags=lambda f: tags(row["tags"], f),
            paused=lambda f: [row["paused"] == f["eq_"]],
            work_queue_name=lambda f: among(row["work_queue_name"], f),
            flow_or_deployment_name=lambda f: [
                any(like(n, f)[0] for n in (row["name"], flows[row["flow_id"]]))
            ],
        )  # fmt: skip

    def artifact(self, row: Row, filter: Filter) -> bool:
        names = ("id", "key", "type", "flow_run_id", "task_run_id")
        checks = {name: lambda f, name=name: among(row[name], f) for name in names}
        return holds(row, filter, **checks)

    # what one list asks of other resources

    def rows(self, kind: str, body: Row) -> list[Row]:
        return [row for row in self.world[kind] if self.wanted(kind, row, body)]

    def wanted(self, kind: str, row: Row, body: Row) -> bool:
        filters = {k: v for k, v in body.items() if isinstance(v, dict)}
        own = filters.pop(kind, None)
        if own is not None and not self.one(kind, row, own):
            return False
        if kind in ("task_runs", "artifacts"):
            tasks = filters.pop("task_runs", None)
            if tasks is not None:
                ids = {t["id"] for t in self.matching("task_runs", tasks)}
                if row["task_run_id"] not in ids:
                    return False
            if not filters:
                return True
            runs = [r for r in self.world["flow_runs"] if r["id"] == row["flow_run_id"]]
            return any(self.wanted("flow_runs", run, filters) for run in runs)
        queues = self.queues(filters)
        for other, filter in filters.items():
            if not other.startswith("work_") and not self.related(kind, row, other, filter):
                return False
        return queues is None or self.in_queues(kind, row, queues)

    def related(self, kind: str, row: Row, other: str, filter: Filter) -> bool:
        runs = self.world["flow_runs"]
        column = {"flows": "flow_id", "deployments": "deployment_id", "flow_runs": "id"}[kind]
        found = self.matching(other, filter)
        if other == "flows":
            return any(f["id"] == row["flow_id"] for f in found)
        if other == "flow_runs":
            return any(r[column] == row["id"] for r in found)
        if other == "task_runs":
            of = {t["flow_run_id"] for t in found}
            return any(r[column] == row["id"] and r["id"] in of for r in runs)
        if kind == "flows":
            return any(d["flow_id"] == row["id"] for d in found)
        return any(d["id"] == row["deployment_id"] for d in found)

    def queues(self, filters: Row) -> set[str] | None:
        if not {"work_pools", "work_pool_queues"} & set(filters):
            return None
        pools = {p["id"] for p in self.matching("work_pools", filters.get("work_pools", {}))}
        found = self.matching("work_pool_queues", filters.get("work_pool_queues", {}))
        return {q["id"] for q in found if q["work_pool_id"] in pools}

    def in_queues(self, kind: str, row: Row, queues: set[str]) -> bool:
        if kind != "flows":
            return row["work_queue_id"] in queues
        mine = [d for d in self.world["deployments"] if d["flow_id"] == row["id"]]
        return any(d["work_queue_id"] in queues for d in mine)


# ------------------------------------------------------------------ made-up filters


def some(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=3)


def part(**criteria: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    return st.fixed_dictionaries({}, optional=criteria)


OPERATOR = st.sampled_from(["and_", "or_"])
BOOL = st.booleans()


def filters(world: World) -> dict[str, st.SearchStrategy[Filter]]:
    """A strategy for the filter of each resource, with values that mostly are in the world."""

    def ids(kind: str) -> st.SearchStrategy[Any]:
        return some([MISSING, *(row["id"] for row in world[kind])])

    def name(kind: str) -> st.SearchStrategy[Filter]:
        texts = some(["none", *(row["name"] for row in world[kind])])
        return part(any_=texts, like_=st.sampled_from(["A", "_", "%", "1", "un", "zzz"]))

    tag = some(["a", "b", "c"])
    moments = st.sampled_from([*HOURS, START, START + timedelta(minutes=5)])
    moment = moments.map(datetime.isoformat)
    time = part(before_=moment, after_=moment)
    time_or_null = part(before_=moment, after_=moment, is_null_=BOOL)
    all_tags = part(operator=OPERATOR, all_=tag, is_null_=BOOL)
    any_tags = part(operator=OPERATOR, all_=tag, any_=tag, is_null_=BOOL)
    types = some(["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED"])
    names = some(["Scheduled", "Odd", "Running", "Late"])
    queues = some(["default", "slow_1", "none"])
    id_or_not = {k: part(any_=ids(k), not_any_=ids(k)) for k in world}
    or_null = {k: part(operator=OPERATOR, any_=ids(k), is_null_=BOOL) for k in world}
    state_of_run = part(
        operator=OPERATOR,
        type=part(any_=types, not_any_=types),
        name=part(any_=names, not_any_=names),
    )
    keys = some(["key0", "key4", "none"])
    return {
        "flows": part(
            operator=OPERATOR, id=id_or_not["flows"], name=name("flows"), tags=all_tags,
            deployment=st.fixed_dictionaries({"is_null_": BOOL}),
        ),
        "flow_runs": part(
            operator=OPERATOR, id=id_or_not["flow_runs"], name=name("flow_runs"), tags=any_tags,
            deployment_id=or_null["deployments"], state=state_of_run,
            work_queue_name=part(operator=OPERATOR, any_=queues, is_null_=BOOL),
            flow_version=part(any_=some(["v10", "v11", "v12"])),
            start_time=time_or_null, end_time=time_or_null, expected_start_time=time,
            next_scheduled_start_time=time,
            parent_flow_run_id=st.fixed_dictionaries({"any_": ids("flow_runs")}),
            parent_task_run_id=or_null["task_runs"],
            idempotency_key=part(any_=keys, not_any_=keys),
        ),
        "task_runs": part(
            operator=OPERATOR, id=part(any_=ids("task_runs")), name=name("task_runs"),
            tags=all_tags, start_time=time_or_null, end_time=time_or_null,
            expected_start_time=time, flow_run_id=or_null["flow_runs"],
            state=part(operator=OPERATOR, type=part(any_=types), name=part(any_=names)),
            subflow_runs=st.fixed_dictionaries({"exists_": BOOL}),
        ),
        "deployments": part(
            operator=OPERATOR, id=id_or_not["deployments"], name=name("deployments"),
            tags=any_tags, paused=st.fixed_dictionaries({"eq_": BOOL}),
            work_queue_name=part(any_=queues),
            flow_or_deployment_name=st.fixed_dictionaries(
                {"like_": st.sampled_from(["A", "_x", "d1"])}
            ),
        ),
        "work_pools": part(
            operator=OPERATOR, id=part(any_=ids("work_pools")),
            name=part(any_=some(["Pool", "other"])), type=part(any_=some(["docker", "process"])),
        ),
        "work_pool_queues": part(
            operator=OPERATOR, id=part(any_=ids("work_queues")),
            name=part(any_=queues, startswith_=some(["d", "slow_", "S"])),
        ),
        "artifacts": part(
            operator=OPERATOR, id=part(any_=ids("artifacts")),
            key=part(any_=some(["k-1", "none"]), like_=st.sampled_from(["K", "3"]), exists_=BOOL),
            type=part(any_=some(["table"]), not_any_=some(["table", "x"])),
            flow_run_id=part(any_=ids("flow_runs")), task_run_id=part(any_=ids("task_runs")),
        ),
        "variables": part(
            operator=OPERATOR, id=part(any_=ids("variables")), name=name("variables"),
            tags=all_tags,
        ),
    }  # fmt: skip


RUNS = ("flows", "flow_runs", "task_runs", "deployments")
POOLS = (*RUNS, "work_pools", "work_pool_queues")
#: each list with what its body may filter by, and orders that leave no doubt
LISTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "flows": (RUNS + ("work_pools",), {"NAME_ASC": "name", "NAME_DESC": "name"}),
    "flow_runs": (POOLS, {"NAME_ASC": "name", "NAME_DESC": "name", "ID_DESC": "id"}),
    "task_runs": (RUNS, {"NAME_ASC": "name", "NAME_DESC": "name", "ID_DESC": "id"}),
    "deployments": (POOLS, {"NAME_ASC": "name", "NAME_DESC": "name"}),
    "artifacts": (("artifacts", *RUNS), {"ID_DESC": "id"}),
    "variables": (("variables",), {"NAME_ASC": "name", "NAME_DESC": "name"}),
}


@pytest.fixture
def server(server_url: str) -> Iterator[Server]:
    """A server whose world is empty."""
    with httpx.Client(base_url=server_url, timeout=60) as http:
        yield Server(http)


@pytest.mark.timeout(150)  # six lists, each in many ways
def test_any_combination_of_filters_chooses_what_it_says(server: Server) -> None:
    world = lay_out(server)
    for kind in LISTS:
        compare(server, Oracle(world), kind, filters(world))


def compare(
    server: Server, oracle: Oracle, kind: str, strategies: dict[str, st.SearchStrategy[Filter]]
) -> None:
    """Ask the server and the oracle for that list in many ways."""
    parts, orders = LISTS[kind]
    wanted_parts = {part: strategies[part] for part in (kind, *parts)}
    sorts = st.fixed_dictionaries({"sort": st.sampled_from(sorted(orders))}, optional=wanted_parts)

    @seed(20261121)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(body=sorts, limit=st.integers(1, 5), offset=st.integers(0, 3))
    def ask(body: Row, limit: int, offset: int) -> None:
        sort = body["sort"]
        wanted = oracle.rows(kind, body)
        wanted.sort(key=lambda row: str(row[orders[sort]]), reverse=sort.endswith("DESC"))
        seen = [row["id"] for row in server.post(f"/{kind}/filter", **body)]
        ids = [row["id"] for row in wanted]
        if sort.startswith("NAME"):  # databases differ in how they order letters
            assert sorted(seen) == sorted(ids), body
        else:
            assert seen == ids, body
        page = server.post(f"/{kind}/filter", **body, limit=limit, offset=offset)
        assert [row["id"] for row in page] == seen[offset : offset + limit], body
        asked = {k: v for k, v in body.items() if k != "sort"}
        assert server.post(f"/{kind}/count", **asked) == len(ids), body

    ask()
