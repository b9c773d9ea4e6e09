"""Global limits, rate limits, leases and limits of tags."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from penstock.server.app import Server
from penstock.services.repossessor import repossess_slots
from penstock.store.database import Database
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio
V2 = "/v2/concurrency_limits"
V1 = "/concurrency_limits"


def database_of(server: Server) -> Database:
    assert server.database is not None
    return server.database


async def make(api: Api, name: str, limit: int = 1, **fields: Json) -> Json:
    return await api.post(f"{V2}/", {"name": name, "limit": limit, **fields})


async def status(api: Api, path: str, body: Json) -> int:
    return (await api.call("POST", path, body)).status_code


async def take(api: Api, *names: str, slots: int = 1, **more: Json) -> int:
    return await status(api, f"{V2}/increment", {"names": names, "slots": slots, **more})


async def lease(api: Api, *names: str, **more: Json) -> str:
    body = {"names": names, "slots": 1, **more}
    return str((await api.post(f"{V2}/increment-with-lease", body))["lease_id"])


async def release(api: Api, lease_id: str) -> None:
    await api.post(f"{V2}/decrement-with-lease", {"lease_id": lease_id})


async def slots_of(api: Api, name: str) -> int:
    return int((await api.get(f"{V2}/{name}"))["active_slots"])


async def test_a_limit_is_made_read_changed_and_deleted(api: Api) -> None:
    made = await make(api, "a", 2)
    assert (made["active"], made["denied_slots"], made["avg_slot_occupancy_seconds"]) == (
        True,
        0,
        2.0,
    )
    assert (await api.call("POST", f"{V2}/", {"name": "a", "limit": 3})).status_code == 409
    for key in ("a", made["id"]):
        assert (await api.get(f"{V2}/{key}"))["limit"] == 2
    await api.patch(f"{V2}/a", {"name": "b", "limit": 0, "active": False})
    assert [x["name"] for x in await api.post(f"{V2}/filter")] == ["b"]
    assert await api.post(f"{V2}/filter", {"limit": 0}) == []
    await api.delete(f"{V2}/b")
    for method in ("GET", "PATCH", "DELETE"):
        body: Json = {} if method == "PATCH" else None
        assert (await api.call(method, f"{V2}/b", body)).status_code == 404


async def test_slots_are_taken_of_all_limits_or_of_none(api: Api) -> None:
    await make(api, "a", 2)
    await make(api, "b", 1)
    await make(api, "off", 0, active=False)
    names = ["a", "b", "off", "unknown"]
    granted = await api.post(f"{V2}/increment", {"names": names, "slots": 1})
    assert sorted(x["name"] for x in granted) == ["a", "b", "off"]
    denied = await api.call("POST", f"{V2}/increment", {"names": names, "slots": 1})
    assert (denied.status_code, denied.json()["detail"]) == (423, "Locked")
    assert 1 <= float(denied.headers["Retry-After"]) <= 5
    assert (await slots_of(api, "a"), await slots_of(api, "b")) == (1, 1)
    assert await api.post(f"{V2}/increment", {"names": ["unknown"], "slots": 1}) == []
    back = {"names": ["a", "b", "unknown"], "slots": 5, "occupancy_seconds": 3}
    assert len(await api.post(f"{V2}/decrement", back)) == 2
    assert (await slots_of(api, "a"), await slots_of(api, "b")) == (0, 0)


async def test_what_can_never_be_granted_is_refused(api: Api) -> None:
    await make(api, "a", 2)
    assert await take(api, "a", slots=3) == 422
    assert await take(api, "a", mode="rate_limit") == 422
    assert await take(api, "a", slots=0) == 422
    body = {"names": ["a"], "slots": 1, "lease_duration": 59}
    assert await status(api, f"{V2}/increment-with-lease", body) == 422
    assert await take(api) == 200


async def test_a_rate_limit_gives_its_slots_back_by_itself(api: Api) -> None:
    await make(api, "rate", 2, slot_decay_per_second=20.0)
    assert await take(api, "rate", slots=2, mode="rate_limit") == 200
    denied = await api.call("POST", f"{V2}/increment", {"names": ["rate"], "slots": 2})
    if denied.status_code == 423:  # else the machine was slow
        assert 0 < float(denied.headers["Retry-After"]) < 1
    async with asyncio.timeout(10):
        while await take(api, "rate", mode="rate_limit") != 200:  # noqa: ASYNC110 - time itself
            await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        while await slots_of(api, "rate"):  # noqa: ASYNC110 - time itself
            await asyncio.sleep(0.05)


async def test_a_slow_rate_limit_says_when_to_come_back(api: Api) -> None:
    await make(api, "slow", 1, slot_decay_per_second=1e-7)
    assert await take(api, "slow", mode="rate_limit") == 200
    denied = await api.call("POST", f"{V2}/increment", {"names": ["slow"], "slots": 1})
    assert 2000 < float(denied.headers["Retry-After"]) < 5000


async def test_slots_of_a_lease_come_back_when_it_ends_and_only_once(api: Api) -> None:
    await make(api, "a", 2)
    first = await lease(api, "a", holder={"type": "flow_run", "id": str(uuid4())})
    second = await lease(api, "a")
    assert await status(api, f"{V2}/increment-with-lease", {"names": ["a"], "slots": 1}) == 423
    # slots of leases are not given back by others
    await api.post(f"{V2}/decrement", {"names": ["a"], "slots": 2})
    assert await slots_of(api, "a") == 2
    for _ in range(2):
        await release(api, first)
    assert await slots_of(api, "a") == 1
    assert await status(api, f"{V2}/leases/{first}/renew", {"lease_duration": 60}) == 410
    assert await status(api, f"{V2}/leases/{second}/renew", {}) == 204
    await release(api, second)
    await release(api, str(uuid4()))
    assert await slots_of(api, "a") == 0


async def test_a_lease_of_nothing_can_be_renewed_and_released(api: Api) -> None:
    body = {"names": ["unknown"], "slots": 1}
    answer = await api.post(f"{V2}/increment-with-lease", body)
    assert answer["limits"] == []
    renew = f"{V2}/leases/{answer['lease_id']}/renew"
    assert await status(api, renew, {"lease_duration": 60}) == 204
    await release(api, answer["lease_id"])
    assert await status(api, renew, {"lease_duration": 60}) == 410


async def test_slots_of_an_expired_lease_are_taken_back(server: Server, api: Api) -> None:
    await make(api, "a", 1)
    kept, now = await lease(api, "a", lease_duration=60), datetime.now(UTC)
    assert await repossess_slots(database_of(server), now + timedelta(seconds=59)) == 0
    await api.post(f"{V2}/leases/{kept}/renew", {"lease_duration": 120})
    assert await repossess_slots(database_of(server), now + timedelta(seconds=61)) == 0
    assert await repossess_slots(database_of(server), now + timedelta(seconds=121)) == 1
    assert await slots_of(api, "a") == 0
    assert await status(api, f"{V2}/leases/{kept}/renew", {}) == 410
    # it was held for two minutes, so others wait as long as anybody does
    await take(api, "a")
    denied = await api.call("POST", f"{V2}/increment", {"names": ["a"], "slots": 1})
    assert float(denied.headers["Retry-After"]) > 20


async def test_slots_set_by_hand_are_no_longer_those_of_leases(api: Api) -> None:
    await make(api, "a", 2)
    held = [await lease(api, "a") for _ in range(2)]
    await api.patch(f"{V2}/a", {"active_slots": 0})
    assert await take(api, "a") == 200
    for lease_id in held:
        await release(api, lease_id)
    assert await slots_of(api, "a") == 1
    kept = await lease(api, "a")
    await api.delete(f"{V2}/a")
    await make(api, "a", 1)
    await release(api, kept)
    assert await slots_of(api, "a") == 0


# ------------------------------------------------------------------ tags


async def tag_slots(api: Api, what: str, run: str, *tags: str) -> int:
    return await status(api, f"{V1}/{what}", {"names": tags, "task_run_id": run})


async def test_the_limit_of_a_tag_is_the_global_limit_of_its_name(api: Api) -> None:
    made = await api.call("POST", f"{V1}/", {"tag": "x", "concurrency_limit": 1})
    assert made.status_code == 201
    again = await api.call("POST", f"{V1}/", {"tag": "x", "concurrency_limit": 2})
    assert (again.status_code, again.json()["concurrency_limit"]) == (200, 2)
    await make(api, "tag:y", 3)
    await make(api, "other")
    await make(api, "TAG:z")
    assert [x["tag"] for x in await api.post(f"{V1}/filter")] == ["x", "y"]
    assert (await api.get(f"{V2}/tag:x"))["limit"] == 2
    by_id = await api.get(f"{V1}/{made.json()['id']}")
    assert by_id == await api.get(f"{V1}/tag/x")
    other = (await api.get(f"{V2}/other"))["id"]
    for path in ("/tag/unknown", f"/{uuid4()}", f"/{other}"):
        for method in ("GET", "DELETE"):
            assert (await api.call(method, V1 + path)).status_code == 404
    deleted = await api.call("DELETE", f"{V1}/tag/x")
    assert (deleted.status_code, deleted.json()) == (200, None)
    await api.delete(f"{V1}/{(await api.get(f'{V1}/tag/y'))['id']}")


async def test_a_task_run_holds_one_slot_of_each_tag(api: Api) -> None:
    for tag, limit in {"x": 2, "y": 1, "closed": 0}.items():
        await api.post(f"{V1}/", {"tag": tag, "concurrency_limit": limit})
    one, two = str(uuid4()), str(uuid4())
    assert await tag_slots(api, "increment", one, "x", "y", "unknown") == 200
    assert await tag_slots(api, "increment", one, "x", "y") == 200  # the answer was lost
    body = {"names": ["x", "y"], "task_run_id": two}
    denied = await api.call("POST", f"{V1}/increment", body)
    assert (denied.status_code, "Retry-After" in denied.headers) == (423, True)
    body = {"names": ["x", "closed"], "task_run_id": two}
    closed = await api.call("POST", f"{V1}/increment", body)
    assert (closed.status_code, "Retry-After" in closed.headers) == (423, False)
    assert (await api.get(f"{V1}/tag/x"))["active_slots"] == [one]
    assert await tag_slots(api, "decrement", two, "x", "y") == 200
    assert await slots_of(api, "tag:x") == 1
    for _ in range(2):
        assert await tag_slots(api, "decrement", one, "x", "y") == 200
    assert (await slots_of(api, "tag:x"), await slots_of(api, "tag:y")) == (0, 0)


async def test_a_tag_is_reset_to_just_these_task_runs(api: Api) -> None:
    await api.post(f"{V1}/", {"tag": "x", "concurrency_limit": 2})
    one, two = str(uuid4()), str(uuid4())
    await tag_slots(api, "increment", one, "x")
    assert await api.post(f"{V1}/tag/x/reset", {"slot_override": [two]}) is None
    assert (await api.get(f"{V1}/tag/x"))["active_slots"] == [two]
    await tag_slots(api, "decrement", one, "x")
    assert await slots_of(api, "tag:x") == 1
    await api.post(f"{V1}/tag/x/reset")
    assert await slots_of(api, "tag:x") == 0
    assert (await api.call("POST", f"{V1}/tag/unknown/reset", {})).status_code == 404


async def test_a_deleted_task_run_gives_its_slots_back(api: Api) -> None:
    await api.post(f"{V1}/", {"tag": "x", "concurrency_limit": 1})
    run = await api.make_flow_run(await api.make_flow(), "RUNNING")
    body = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0", "tags": ["x"]}
    task_runs = [await api.post("/task_runs/", body | {"dynamic_key": f"{n}"}) for n in range(2)]
    paths = [f"/task_runs/{task_run['id']}" for task_run in task_runs]
    running = {"state": {"type": "RUNNING"}}
    assert (await api.post(f"{paths[0]}/set_state", running))["status"] == "ACCEPT"
    assert (await api.get(f"{V1}/tag/x"))["active_slots"] == [task_runs[0]["id"]]
    assert (await api.post(f"{paths[1]}/set_state", running))["status"] == "WAIT"
    await api.delete(paths[0])
    assert (await api.post(f"{paths[1]}/set_state", running))["status"] == "ACCEPT"
    await api.delete(f"/flow_runs/{run['id']}")
    assert await slots_of(api, "tag:x") == 0
