"""A database that is away and a disk that is full: clear errors, nothing lost, no help needed."""

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.provision import PostgresServer, ServerProcess

pytestmark = pytest.mark.timeout(90)  # servers start and stop, on a machine that may be busy
THREADS = 4
AWAY_SECONDS = 5


class Creators:
    """Threads that create runs, each with a key of its own, and repeat what was not answered."""

    def __init__(self, url: str, deployment_id: str) -> None:
        self.path = f"/deployments/{deployment_id}/create_flow_run"
        self.url = url
        self.acknowledged: dict[str, str] = {}
        self.refused: list[httpx.Response] = []
        self._go_on = threading.Event()
        self._changed = threading.Condition()
        self._team = ThreadPoolExecutor(THREADS)
        self._creating = [self._team.submit(self._create, n) for n in range(THREADS)]

    def _create(self, thread: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            number = 0
            while not self._go_on.is_set():
                key = f"{thread}-{number}"
                answer = client.post(self.path, json={"name": key, "idempotency_key": key})
                with self._changed:
                    if answer.is_success:
                        self.acknowledged[key] = answer.json()["id"]
                        number += 1
                    else:
                        self.refused.append(answer)
                    self._changed.notify_all()

    def wait_for(self, *, more: int = 0, refused: int = 0) -> None:
        """Wait until so many more runs were acknowledged, or so many creates refused in all."""
        with self._changed:
            wanted = len(self.acknowledged) + more
            done = self._changed.wait_for(
                lambda: len(self.acknowledged) >= wanted and len(self.refused) >= refused, 40
            )
        assert done, (len(self.acknowledged), wanted, len(self.refused), refused)

    def stop(self) -> None:
        """End the threads; what one of them could not stand is raised here."""
        self._go_on.set()
        for thread in self._creating:
            thread.result()
        self._team.shutdown()


def deploy(client: httpx.Client) -> str:
    flow = client.post("/flows/", json={"name": "hello"}).raise_for_status().json()
    body = {"name": "d", "flow_id": flow["id"]}
    return str(client.post("/deployments/", json=body).raise_for_status().json()["id"])


def all_runs(client: httpx.Client) -> dict[str, Any]:
    """The runs by name; a name that two of them have is a mistake."""
    runs: list[Any] = []
    while True:
        body = {"sort": "ID_DESC", "offset": len(runs)}
        page = client.post("/flow_runs/filter", json=body).raise_for_status().json()
        if not page:
            break
        runs += page
    by_name = {run["name"]: run["id"] for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def test_a_database_that_is_away_for_five_seconds_costs_no_run(tmp_path: Path) -> None:
    postgres = PostgresServer()
    try:
        url = postgres.url(postgres.create_database())
        with (
            ServerProcess(url, tmp_path / "server") as server,
            httpx.Client(base_url=server.url, timeout=30) as client,
        ):
            creators = Creators(server.url, deploy(client))
            creators.wait_for(more=20)
            with postgres.away():
                # Not a wait for anything: this is how long the database is away.
                threading.Event().wait(AWAY_SECONDS)
                assert client.get("/health").json() is True
                assert client.get("/ready").status_code == 503
            creators.wait_for(more=20, refused=1)
            creators.stop()
            assert client.get("/ready").status_code == 200
            assert {r.status_code for r in creators.refused} <= {502, 503}
            retriable = [r for r in creators.refused if r.status_code == 503]
            assert retriable
            assert all(float(r.headers["Retry-After"]) >= 0 for r in retriable)
            assert all(r.json()["exception_message"] for r in creators.refused)
            runs = all_runs(client)
            assert {key: runs.get(key) for key in creators.acknowledged} == creators.acknowledged
    finally:
        postgres.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system of its own")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is on the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 65536):
            pass
    return ballast


def test_a_full_disk_is_told_clearly_and_service_resumes_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk / 'penstock.db'}"
    with (
        ServerProcess(url, tmp_path / "server") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        creators = Creators(server.url, deploy(client))
        creators.wait_for(more=20)
        ballast = fill(small_disk)
        creators.wait_for(refused=3)
        assert client.get("/health").json() is True
        ballast.unlink()
        creators.wait_for(more=20)
        creators.stop()
        assert {r.status_code for r in creators.refused} == {503}
        assert all("disk is full" in r.text for r in creators.refused), creators.refused[0].text
        assert all(float(r.headers["Retry-After"]) >= 0 for r in creators.refused)
        runs = all_runs(client)
        assert {key: runs.get(key) for key in creators.acknowledged} == creators.acknowledged
        server.kill()
    with (
        ServerProcess(url, tmp_path / "again") as server,
        httpx.Client(base_url=server.url) as client,
    ):
        runs = all_runs(client)
        assert {key: runs.get(key) for key in creators.acknowledged} == creators.acknowledged
