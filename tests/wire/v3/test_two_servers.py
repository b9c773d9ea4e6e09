"""Two servers on one PostgreSQL: each run has one live attempt, each schedule one run per time."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.provision import PostgresServer, running_server
from tests.wire.v3.client import Rest, until

pytestmark = pytest.mark.timeout(120)
Json = Any
RUNS = 120
TAKERS = 6
EVERY_SECONDS = 60


@pytest.fixture
def servers(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[list[str]]:
    """The addresses of two servers on the same database."""
    name = postgres_server.create_database()
    url = postgres_server.url(name)
    with running_server(url, tmp_path / "a") as first, running_server(url, tmp_path / "b") as other:
        yield [first, other]
    postgres_server.drop_database(name)


class Taker:
    """Polls one server after the other as workers do, and keeps what it was given."""

    def __init__(self, servers: list[str], number: int, all_done: threading.Event) -> None:
        self._servers = [httpx.Client(base_url=url, timeout=30) for url in servers]
        self._number = number
        self._all_done = all_done
        self._calls = number
        self._attempts: dict[str, str] = {}
        self.taken: list[str] = []

    def _post(self, path: str, body: Json, attempt: str = "") -> Json:
        self._calls += 1
        headers = {"Penstock-Attempt": attempt} if attempt else {}
        server = self._servers[self._calls % 2]
        answer = server.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def work(self) -> None:
        """Take and start runs until all are done, then lead those taken to their end."""
        while not self._all_done.is_set():
            soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
            body = {"scheduled_before": soon, "limit": 20}
            for found in self._post("/work_pools/shared/get_scheduled_flow_runs", body):
                self._take(found["flow_run"]["id"])
        # Not before: what has ended may be run again by whoever still has it from a poll.
        for run in self.taken:
            assert self._propose(run, "COMPLETED") == "ACCEPT"
        for server in self._servers:
            server.close()

    def _take(self, run: str) -> None:
        # Every other one says whose attempt it is, as our worker does; the client's does not.
        self._attempts[run] = str(uuid4()) if self._number % 2 else ""
        if self._propose(run, "PENDING") == "ACCEPT":
            self.taken.append(run)
            assert self._propose(run, "RUNNING") == "ACCEPT"

    def _propose(self, run: str, state: str) -> str:
        details = {"transition_id": str(uuid4())}
        body = {"state": {"type": state, "state_details": details}}
        said = self._post(f"/flow_runs/{run}/set_state", body, self._attempts[run])
        return str(said["status"])


def test_each_run_has_one_attempt_and_each_time_one_run(servers: list[str]) -> None:
    first, other = Rest(servers[0]), Rest(servers[1])
    first.post("/work_pools/", {"name": "shared", "type": "process"})
    flow = first.post("/flows/", {"name": "shared"})["id"]
    deployments = [deploy((first, other)[n % 2], flow, n) for n in range(6)]
    by_hand = first.post(
        "/deployments/", {"name": "by-hand", "flow_id": flow, "work_pool_name": "shared"}
    )["id"]
    all_done = threading.Event()
    takers = [Taker(servers, number, all_done) for number in range(TAKERS)]
    with ThreadPoolExecutor(TAKERS + 3) as team:
        working = [team.submit(taker.work) for taker in takers]
        creating = [team.submit(create, rest, by_hand) for rest in (first, other)]
        changing = team.submit(change, (first, other), deployments)
        try:
            made = [done.result() for done in creating]
            changing.result()
            until(lambda: started(other, by_hand), lambda count: count == RUNS, timeout_seconds=60)
        finally:
            all_done.set()
            for done in working:
                done.result()
    # Both asked for the same runs, by their keys.
    assert made[0] == made[1]
    assert len(set(made[0])) == RUNS
    taken = Counter(run for taker in takers for run in taker.taken)
    assert set(taken.values()) == {1}
    assert set(made[0]) <= set(taken)
    assert sum(bool(taker.taken) for taker in takers) > 1
    for run in made[0]:
        assert first.state_names(run) == ["Scheduled", "Pending", "Running", "Completed"]
        assert first.run(run)["run_count"] == 1
    for deployment in deployments:
        until(lambda d=deployment: len(planned(other, d)) >= 60)  # type: ignore[misc]
        the_times_are_one_apart(planned(first, deployment))
    first.close()
    other.close()


def deploy(rest: Rest, flow: str, number: int) -> str:
    """A deployment with a schedule whose first run is not due during the test."""
    anchor = (datetime.now(UTC) + timedelta(seconds=45)).isoformat()
    schedule = {"interval": EVERY_SECONDS, "anchor_date": anchor}
    body = {
        "name": f"planned-{number}",
        "flow_id": flow,
        "work_pool_name": "shared",
        "schedules": [{"schedule": schedule, "active": True}],
    }
    return str(rest.post("/deployments/", body)["id"])


def create(rest: Rest, deployment: str) -> list[str]:
    """Create the runs, each by its key."""
    path = f"/deployments/{deployment}/create_flow_run"
    return [str(rest.post(path, {"idempotency_key": str(n)})["id"]) for n in range(RUNS)]


def change(servers: tuple[Rest, Rest], deployments: list[str]) -> None:
    """Have both servers plan the same deployments again and again."""
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()

    def plan(rest: Rest, deployment: str) -> None:
        rest.post(f"/deployments/{deployment}/schedule", {"end_time": later})

    def stop_and_go(rest: Rest, deployment: str) -> None:
        rest.post(f"/deployments/{deployment}/pause_deployment")
        rest.post(f"/deployments/{deployment}/resume_deployment")

    acts: tuple[Callable[[Rest, str], None], ...] = (plan, stop_and_go, plan)
    with ThreadPoolExecutor(2) as team:
        for act in acts:
            doing = [team.submit(act, rest, d) for d in deployments for rest in servers]
            for done in doing:
                done.result()


def started(rest: Rest, deployment: str) -> int:
    """How many runs of a deployment were started."""
    return int(
        rest.post(
            "/flow_runs/count",
            {
                "flow_runs": {
                    "deployment_id": {"any_": [deployment]},
                    "state": {"type": {"any_": ["RUNNING"]}},
                }
            },
        )
    )


def planned(rest: Rest, deployment: str) -> list[datetime]:
    """The times of a deployment's runs to come."""
    runs = rest.runs(deployment_id={"any_": [deployment]})
    return sorted(datetime.fromisoformat(run["next_scheduled_start_time"]) for run in runs)


def the_times_are_one_apart(times: list[datetime]) -> None:
    """No time has two runs, and none was left out."""
    steps = {(b - a).total_seconds() for a, b in zip(times, times[1:], strict=False)}
    assert steps == {EVERY_SECONDS}, sorted(steps)
