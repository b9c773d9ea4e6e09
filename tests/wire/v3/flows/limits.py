"""Global limits, rate limits, tag limits and the leases behind them."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
from prefect import flow, get_client, task
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
)
from prefect.concurrency.asyncio import concurrency as async_concurrency
from prefect.concurrency.sync import concurrency, rate_limit
from prefect.runtime import flow_run

IDS: dict[str, str] = {}


class Gauge:
    """How many were inside at the same time, at most."""

    def __init__(self) -> None:
        self.most = self._now = self.entered = 0
        self._lock = threading.Lock()

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.entered += 1
            self.most = max(self.most, self._now)
        time.sleep(0.1)
        yield
        with self._lock:
            self._now -= 1


shared, tagged = Gauge(), Gauge()


@task
def uses_a_slot() -> None:
    with concurrency("wire-two", occupy=1), shared.inside():
        pass


@task(tags=["wire-tag"])
def has_a_tag() -> None:
    with tagged.inside():
        pass


@flow
def global_limit() -> None:
    IDS["global_limit"] = flow_run.id
    for future in [uses_a_slot.submit() for _ in range(4)]:
        future.wait()


@flow
def tag_limit() -> None:
    IDS["tag_limit"] = flow_run.id
    for future in [has_a_tag.submit() for _ in range(3)]:
        future.wait()


async def async_slot(client: Any) -> int:
    async with async_concurrency("wire-two", occupy=2, lease_duration=60):
        return int((await client.read_global_concurrency_limit_by_name("wire-two")).active_slots)


async def async_facts() -> dict[str, Any]:
    async with get_client() as client:
        return {"inside": await async_slot(client)}


def leases(client: Any) -> dict[str, Any]:
    with concurrency("wire-one", lease_duration=60):
        inside = client.read_global_concurrency_limit_by_name("wire-one").active_slots
        began = time.monotonic()
        try:
            with concurrency("wire-one", timeout_seconds=0.5):
                pass
        except TimeoutError:
            waited = time.monotonic() - began
    after = client.read_global_concurrency_limit_by_name("wire-one").active_slots
    answer = client.increment_concurrency_slots_with_lease(
        names=["wire-one"], slots=1, mode="concurrency", lease_duration=60
    )
    lease = answer.json()["lease_id"]
    client.renew_concurrency_lease(lease, 90)
    client.release_concurrency_slots_with_lease(lease)
    client.release_concurrency_slots_with_lease(lease)
    left = client.read_global_concurrency_limit_by_name("wire-one").active_slots
    return {
        "slots": [inside, after, left],
        "timed out": 0.4 < waited < 10,
        "unknown lease": status_of(lambda: client.renew_concurrency_lease(uuid4(), 60)),
        "released lease": status_of(lambda: client.renew_concurrency_lease(lease, 60)),
    }


def status_of(call: Any) -> int:
    try:
        call()
    except httpx.HTTPStatusError as error:
        return int(error.response.status_code)
    return 0


def rates() -> float:
    began = time.monotonic()
    for _ in range(4):
        rate_limit("wire-rate")
    return time.monotonic() - began


def unknown() -> str:
    with concurrency("wire-not-there"):
        pass
    try:
        with concurrency("wire-not-there", strict=True):
            pass
    except Exception as error:
        return type(error).__name__
    return "nothing"


def main() -> None:
    facts: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        for name, limit, decay in (("one", 1, 0), ("two", 2, 0), ("rate", 2, 2.0)):
            body = GlobalConcurrencyLimitCreate(
                name=f"wire-{name}", limit=limit, slot_decay_per_second=decay
            )
            client.create_global_concurrency_limit(body)
        facts["leases"] = leases(client)
        global_limit()
        facts["at most"] = [shared.most, shared.entered]
        facts["async"] = asyncio.run(async_facts())
        facts["rates"] = rates()
        facts["unknown"] = unknown()
        tag = client.create_concurrency_limit("wire-tag", 1)
        tag_limit()
        facts["tagged"] = [tagged.most, tagged.entered]
        facts["tag slots"] = client.read_concurrency_limit_by_tag("wire-tag").active_slots
        facts["tag id"] = str(tag)
        client.update_global_concurrency_limit(
            "wire-one", GlobalConcurrencyLimitUpdate(name="wire-renamed", active=False)
        )
        facts["names"] = sorted(
            limit.name
            for limit in client.read_global_concurrency_limits(limit=50)
            if limit.name.startswith("wire-")
        )
        with concurrency("wire-renamed"), concurrency("wire-renamed", timeout_seconds=1):
            facts["inactive"] = "passes"
    facts["ids"] = IDS
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
