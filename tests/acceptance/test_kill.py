"""`kill -9` of the server in the middle of its work: what was acknowledged is there, once."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.provision import ServerProcess

pytestmark = pytest.mark.timeout(60)  # two servers start, on a machine that may be busy
THREADS = 8
KILL_AFTER = 120
Json = Any


class Storm:
    """Requests from several threads until the server dies under them."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.acknowledged: list[Json] = []
        self._enough = threading.Event()
        self._lock = threading.Lock()

    def rage(self, request: Callable[[httpx.Client, int, int], Json]) -> None:
        """Do the requests; kill the server once enough of them were answered."""
        with ThreadPoolExecutor(THREADS) as team:
            raging = [team.submit(self._send, request, n) for n in range(THREADS)]
            assert self._enough.wait(40)
            self.server.kill()
            for done in raging:
                done.result()

    def _send(self, request: Callable[[httpx.Client, int, int], Json], thread: int) -> None:
        with httpx.Client(base_url=self.server.url, timeout=10) as client:
            for number in range(400):
                try:
                    answer = request(client, thread, number)
                except httpx.TransportError:
                    return  # the server is gone; nothing was acknowledged
                with self._lock:
                    self.acknowledged.append(answer)
                    if len(self.acknowledged) >= KILL_AFTER:
                        self._enough.set()


def succeed(answer: httpx.Response) -> Json:
    assert answer.is_success, answer.text
    return answer.json()


def deploy(client: httpx.Client) -> str:
    flow = succeed(client.post("/flows/", json={"name": "hello"}))
    body = {"name": "d", "flow_id": flow["id"]}
    return str(succeed(client.post("/deployments/", json=body))["id"])


def all_runs(client: httpx.Client) -> list[Json]:
    runs: list[Json] = []
    while page := succeed(
        client.post("/flow_runs/filter", json={"sort": "ID_DESC", "offset": len(runs)})
    ):
        runs += page
    return runs


def test_every_acknowledged_create_survives_once(database_url: str, tmp_path: Path) -> None:
    with ServerProcess(database_url, tmp_path / "first", "--no-services") as server:
        with httpx.Client(base_url=server.url) as client:
            deployment = deploy(client)
        path = f"/deployments/{deployment}/create_flow_run"

        def create(client: httpx.Client, thread: int, number: int) -> Json:
            # Every second one has a key, which a neighbour uses as well.
            key = f"k{thread // 2}-{number}" if number % 2 else None
            body = {"name": f"{thread}-{number}", "idempotency_key": key, "tags": ["storm"]}
            return succeed(client.post(path, json=body))

        storm = Storm(server)
        storm.rage(create)

    with (
        ServerProcess(database_url, tmp_path / "second", "--no-services") as server,
        httpx.Client(base_url=server.url) as client,
    ):
        runs = {run["id"]: run for run in all_runs(client)}
        assert len(storm.acknowledged) >= KILL_AFTER
        for run in storm.acknowledged:
            assert runs[run["id"]]["state_id"] == run["state_id"]
            assert runs[run["id"]]["name"] == run["name"]
            assert runs[run["id"]]["tags"] == ["storm"]
        keys = Counter(r["idempotency_key"] for r in runs.values() if r["idempotency_key"])
        assert set(keys.values()) == {1}
        names = Counter(r["name"] for r in runs.values())
        assert set(names.values()) == {1}
        # The client that lost its answer asks again: it gets the run that is there.
        for run in storm.acknowledged:
            if run["idempotency_key"]:
                again = client.post(path, json={"idempotency_key": run["idempotency_key"]})
                assert (again.status_code, again.json()["id"]) == (200, run["id"])
        tagged = succeed(
            client.post("/flow_runs/count", json={"flow_runs": {"tags": {"all_": ["storm"]}}})
        )
        assert tagged == len(runs)


def test_every_acknowledged_state_survives_once(database_url: str, tmp_path: Path) -> None:
    with ServerProcess(database_url, tmp_path / "first", "--no-services") as server:
        with httpx.Client(base_url=server.url) as client:
            flow = succeed(client.post("/flows/", json={"name": "hello"}))
        states = ("PENDING", "RUNNING", "COMPLETED")
        current: dict[int, Json] = {}

        def live(client: httpx.Client, thread: int, number: int) -> Json:
            """One step of the life of a run; each thread leads one run after the other."""
            if number % 3 == 0:
                body = {"flow_id": flow["id"], "state": {"type": "SCHEDULED"}}
                current[thread] = succeed(client.post("/flow_runs/", json=body))["id"]
            path = f"/flow_runs/{current[thread]}/set_state"
            wanted = {"type": states[number % 3]}
            said = succeed(client.post(path, json={"state": wanted}))
            assert said["status"] == "ACCEPT"
            return current[thread], said["state"]

        storm = Storm(server)
        storm.rage(live)

    with (
        ServerProcess(database_url, tmp_path / "second", "--no-services") as server,
        httpx.Client(base_url=server.url) as client,
    ):
        for run_id in {run_id for run_id, _ in storm.acknowledged}:
            history = succeed(client.get("/flow_run_states/", params={"flow_run_id": run_id}))
            kept = [s["id"] for s in history]
            assert len(set(kept)) == len(kept)
            said = [s["id"] for r, s in storm.acknowledged if r == run_id]
            assert [s for s in kept if s in said] == said
            types = [s["type"] for s in history]
            assert types == ["SCHEDULED", *states][: len(types)]
            run = succeed(client.get(f"/flow_runs/{run_id}"))
            assert run["state_id"] == kept[-1]
            assert run["state_type"] == types[-1]
