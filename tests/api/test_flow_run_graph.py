"""The graph of a flow run: what ran in it, who took whose results, and what it has to show."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from penstock.server.app import Server
from penstock.store.flow_run_graph import select_flow_run_graph
from penstock.store.transaction import Transaction
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

START = datetime(1, 1, 1, tzinfo=UTC)
MISSING = "00000000-0000-0000-0000-000000000001"


def result_of(*ids: str, kind: str = "task_run") -> list[Any]:
    return [{"input_type": kind, "id": id} for id in ids]


class Runs:
    """A flow run with tasks, whose names stand for their ids."""

    def __init__(self, api: Api, run: str) -> None:
        self.api = api
        self.run = run
        self.names: dict[str, str] = {}

    async def task(self, name: str, state: str | None = "RUNNING", **inputs: Any) -> str:
        body = {"task_key": name, "dynamic_key": "0", "name": name, "task_inputs": inputs}
        made = await self.api.post("/task_runs/", {"flow_run_id": self.run, **body})
        id = str(made["id"])
        if state is not None:
            await self.api.post(f"/task_runs/{id}/set_state", {"state": {"type": state}})
        self.names[id] = name
        return id

    async def graph(self, **query: str) -> dict[str, Any]:
        graph: dict[str, Any] = await self.api.get(f"/flow_runs/{self.run}/graph-v2", **query)
        return graph

    def links(self, graph: dict[str, Any], kind: str) -> dict[str, list[str]]:
        named = {id: [self.names[e["id"]] for e in node[kind]] for id, node in graph["nodes"]}
        return {self.names[id]: others for id, others in named.items()}


async def make_run(api: Api) -> Runs:
    run = await api.make_flow_run(await api.make_flow(), "RUNNING", name="root")
    return Runs(api, run["id"])


async def test_nodes_are_linked_by_the_results_they_take(api: Api) -> None:
    runs = await make_run(api)
    a = await runs.task("a")
    b = await runs.task("b", x=result_of(a, a), y=result_of(a))
    await runs.task("c", x=result_of(a, b), p=[{"input_type": "parameter", "name": "q"}])
    await runs.task("within", None, __parents__=result_of(a), x=result_of(MISSING))
    graph = await runs.graph()
    assert runs.links(graph, "parents") == {"a": [], "b": ["a"], "c": ["a", "b"], "within": []}
    assert runs.links(graph, "children")["a"] == ["b", "c"]
    assert runs.links(graph, "encapsulating")["within"] == ["a"]
    assert [runs.names[id] for id in graph["root_node_ids"]] == ["a", "within"]
    first = dict(graph["nodes"])[a]
    assert (first["kind"], first["label"], first["state_type"]) == ("task-run", "a", "RUNNING")
    assert first["start_time"] is not None
    assert graph["end_time"] is None
    assert [s["name"] for s in graph["states"]] == ["Running"]


async def test_a_subflow_run_stands_where_the_task_run_around_it_is(api: Api) -> None:
    runs = await make_run(api)
    a = await runs.task("a")
    around = await runs.task("around", None, x=result_of(a))
    inner = await api.make_flow("inner")
    child = await api.make_flow_run(inner, "COMPLETED", name="child", parent_task_run_id=around)
    runs.names[child["id"]] = "child"
    await runs.task("by task", x=result_of(around))
    await runs.task("by run", x=result_of(child["id"], kind="flow_run"))
    graph = await runs.graph()
    assert runs.links(graph, "parents") == {
        "a": [], "child": ["a"], "by task": ["child"], "by run": ["child"]
    }  # fmt: skip
    node = dict(graph["nodes"])[child["id"]]
    assert (node["kind"], node["label"]) == ("flow-run", "inner / child")
    assert (node["state_type"], node["end_time"]) == ("COMPLETED", child["end_time"])


async def test_nodes_that_ended_before_are_left_out(api: Api) -> None:
    runs = await make_run(api)
    a = await runs.task("a")
    await api.post(f"/task_runs/{a}/set_state", {"state": {"type": "COMPLETED"}})
    await runs.task("b", x=result_of(a))
    later = await runs.graph(since=datetime.now(UTC).isoformat())
    assert [node["label"] for _, node in later["nodes"]] == ["b"]
    assert later["root_node_ids"] == []
    bad = await api.call("GET", f"/flow_runs/{runs.run}/graph-v2", params={"since": "x"})
    assert bad.status_code == 422


async def test_artifacts_are_shown_at_their_nodes_with_the_data_of_progress_only(api: Api) -> None:
    runs = await make_run(api)
    a = await runs.task("a")

    async def make(**fields: Any) -> None:
        await api.post("/artifacts/", {"flow_run_id": runs.run, **fields})

    await make(key="k", type="markdown", data="# long")
    await make(key="k", type="markdown", data="# new")
    await make(type="result", data="hidden")
    await make(key="bar", type="progress", data=50, task_run_id=a)
    await make(data="no type", task_run_id=a)
    graph = await runs.graph()
    shown = [(x["key"], x["is_latest"], x["data"]) for x in graph["artifacts"]]
    assert shown == [("k", False, None), ("k", True, None)]
    of_a = dict(graph["nodes"])[a]["artifacts"]
    assert [(x["key"], x["is_latest"], x["data"]) for x in of_a] == [
        ("bar", True, 50), (None, True, None)
    ]  # fmt: skip


async def test_the_older_graph_lists_task_runs_with_what_they_depend_on(api: Api) -> None:
    runs = await make_run(api)
    a = await runs.task("a")
    await runs.task("b", x=result_of(a, a), p=[{"input_type": "constant", "type": "int"}])
    found = await api.get(f"/flow_runs/{runs.run}/graph")
    assert [x["name"] for x in found] == ["a", "b"]
    assert [x["upstream_dependencies"] for x in found] == [[], result_of(a)]
    assert found[0]["state"]["type"] == "RUNNING"
    assert found[0]["untrackable_result"] is False


@pytest.mark.parametrize("which", ["graph", "graph-v2"])
async def test_there_is_no_graph_of_a_run_that_is_not_there(api: Api, which: str) -> None:
    assert (await api.call("GET", f"/flow_runs/{MISSING}/{which}")).status_code == 404


async def test_a_larger_graph_takes_no_more_statements(api: Api, server: Server) -> None:
    runs = await make_run(api)

    async def statements() -> int:
        def count(tx: Transaction) -> int:
            before = tx.statements
            assert select_flow_run_graph(tx, UUID(runs.run), START) is not None
            return tx.statements - before

        assert server.database is not None
        return await server.database.read(count)

    few = await statements()
    for i in range(5):
        await runs.task(f"t{i}")
    assert await statements() == few == 4
