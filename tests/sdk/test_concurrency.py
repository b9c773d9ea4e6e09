"""Limits of tags and names, asked for by our own tasks and by `concurrency()`."""

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from penstock import Client, arate_limit, concurrency, flow, rate_limit, task
from penstock.sdk import calls
from penstock.sdk.errors import LeaseLost, NoSlotInTime
from tests.sdk.stub_server import Seen, stub_server


def limit_of(client: Client, limit: int, prefix: str = "") -> str:
    name = f"{prefix}{uuid.uuid4()}"
    client.create_concurrency_limit(name, limit=limit)
    return name


def held(client: Client, name: str) -> int:
    return client.read_concurrency_limit(name).active_slots


def test_mapped_tasks_of_a_limited_tag_never_overlap(client: Client) -> None:
    tag = limit_of(client, 1, "tag:")
    guard, seen = threading.Lock(), []

    @task(tags=[tag.removeprefix("tag:")])
    def heavy(number: int) -> int:
        seen.append(guard.acquire(blocking=False))
        time.sleep(0.05)
        guard.release()
        return number

    @flow
    def four() -> list[int]:
        return [future.result() for future in heavy.map(range(4))]

    assert four() == [0, 1, 2, 3]
    assert seen == [True] * 4
    assert held(client, tag) == 0


def test_a_task_that_waits_for_its_retry_holds_no_slot(client: Client) -> None:
    tag = limit_of(client, 1, "tag:")
    during: list[int] = []
    between: list[int] = []

    def delayed(*_: object) -> bool:
        between.append(held(client, tag))
        return True

    @task(tags=[tag.removeprefix("tag:")], retries=1, retry_condition=delayed)
    def flaky() -> str:
        during.append(held(client, tag))
        if len(during) == 1:
            raise ValueError("again")
        return "done"

    @flow
    def once() -> str:
        return flaky()

    assert once() == "done"
    assert (during, between) == ([1, 1], [0])
    assert held(client, tag) == 0


def test_tags_without_limits_are_asked_for_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask = calls.increment_slots_with_lease

    def counting(names: list[str], **fields: object) -> object:
        asked.append(names)
        return ask(names, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(calls, "increment_slots_with_lease", counting)
    tag = str(uuid.uuid4())

    @task(tags=[tag])
    def light(number: int) -> int:
        return number

    @task
    def untagged() -> None: ...

    @flow
    def many() -> None:
        untagged()
        light.map(range(8))

    many()
    many()
    assert asked == [[f"tag:{tag}"]]


def test_a_block_holds_a_slot_and_gives_it_back_when_it_fails(client: Client) -> None:
    name = limit_of(client, 1)

    def broken() -> None:
        with concurrency(name):
            assert held(client, name) == 1
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert held(client, name) == 0


def test_an_async_block_holds_a_slot(client: Client) -> None:
    name = limit_of(client, 1)

    async def hold() -> int:
        async with concurrency([name], lease_seconds=60):
            return await asyncio.to_thread(held, client, name)

    assert asyncio.run(hold()) == 1
    assert held(client, name) == 0


def test_a_full_limit_is_not_waited_for_longer_than_asked(client: Client) -> None:
    name = limit_of(client, 1)
    with (
        concurrency(name),
        pytest.raises(NoSlotInTime, match=rf"no slot of '{name}' became free in 0.1 s"),
        concurrency(name, timeout_seconds=0.1),
    ):
        pass
    assert held(client, name) == 0


def test_a_lost_lease_is_an_error_at_the_end_of_a_strict_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewed = threading.Event()
    lease = {"lease_id": "1", "limits": [{"id": "1", "name": "api", "limit": 1}]}

    def answer(seen: Seen) -> object:
        if seen.path.endswith("/renew"):
            renewed.set()
            return 410, {"detail": "gone"}
        return 200, lease

    def hold() -> None:
        with concurrency("api", lease_seconds=0.2, strict=True):
            assert renewed.wait(10)
            time.sleep(0.1)

    with stub_server(answer) as stub:  # type: ignore[arg-type]
        monkeypatch.setenv("PENSTOCK_API_URL", stub.url)
        with pytest.raises(LeaseLost, match="the lease on api was lost"):
            hold()


def test_a_rate_limit_comes_back_when_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[object] = iter(
        [(423, {"detail": "Locked"}, {"Retry-After": "0.2"}), (200, []), (200, [])]
    )

    def answer(_: Seen) -> object:
        return next(answers)

    with stub_server(answer) as stub:  # type: ignore[arg-type]
        monkeypatch.setenv("PENSTOCK_API_URL", stub.url)
        started = time.monotonic()
        rate_limit("api")
        assert time.monotonic() - started >= 0.2
        asyncio.run(arate_limit("api"))
        assert [seen.body["mode"] for seen in stub.seen] == ["rate_limit"] * 3
