"""Whatever is done to limits in whatever order: no slot leaks, and none is granted twice."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import anyio.from_thread
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock.contract.rest.concurrency_limits import ConcurrencyLimitV2Update
from penstock.core.errors import Gone
from penstock.core.ids import new_id
from penstock.operations.concurrency_limits import (
    Lease,
    give_slots_back,
    release_lease,
    renew,
    take_slots,
)
from penstock.operations.limit_changes import delete_limit, update_limit
from penstock.services.repossessor import repossess_slots
from penstock.store.concurrency_limits import insert_limit, select_limit
from penstock.store.concurrency_slots import count_leased_slots
from penstock.store.database import Database

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
LIMITS = {"a": 3, "b": 2}
MINUTE = timedelta(seconds=60)

names = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True)
few = st.integers(1, 2)
step = st.one_of(
    st.tuples(st.just("take"), names, few),
    st.tuples(st.just("lease"), names, few),
    st.tuples(st.just("back"), names, few),
    st.tuples(st.just("release"), st.integers(0, 3)),
    st.tuples(st.just("renew"), st.integers(0, 3)),
    st.tuples(st.just("later"), st.sampled_from([20, 50])),
    st.tuples(st.just("set"), names, st.integers(0, 3)),
    st.tuples(st.just("delete"), names),
)


@pytest.fixture
def portal() -> Iterator[Any]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def db(portal: Any, database_url: str) -> Iterator[Database]:
    db = portal.call(Database.open, database_url)
    yield db
    portal.call(db.close)


@dataclass
class Held:
    """A lease, as it should be."""

    until: datetime
    slots: dict[str, int]


@dataclass
class World:
    """The database, and beside it what it should say."""

    portal: Any
    db: Database
    prefix: str
    now: datetime = NOW
    unleased: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    leases: dict[UUID, Held] = field(default_factory=dict)
    #: in the order in which they were made, also those that are over
    made: list[UUID] = field(default_factory=list)

    def write(self, unit: Any, **arguments: Any) -> Any:
        return self.portal.call(self.db.write, partial(unit, **arguments))

    def make_limit(self, name: str) -> None:
        values = {"name": self.prefix + name, "limit": LIMITS[name]}
        self.write(insert_limit, values=values, now=self.now)

    def leased(self, name: str) -> int:
        return sum(lease.slots.get(name, 0) for lease in self.leases.values())

    def active(self, name: str) -> int:
        return self.unleased[name] + self.leased(name)

    def step_take(self, names: list[str], slots: int, lease: Lease | None = None) -> None:
        free = all(self.active(n) + slots <= LIMITS[n] for n in names)
        full_names = [self.prefix + n for n in names]
        taken = self.write(take_slots, names=full_names, slots=slots, now=self.now, lease=lease)
        assert (taken.retry_after is None) is free
        if free and lease is None:
            for n in names:
                self.unleased[n] += slots
        elif free:
            self.leases[taken.lease_id] = Held(self.now + MINUTE, dict.fromkeys(names, slots))
            self.made.append(taken.lease_id)

    def step_lease(self, names: list[str], slots: int) -> None:
        self.step_take(names, slots, Lease(MINUTE))

    def step_back(self, names: list[str], slots: int) -> None:
        full_names = [self.prefix + n for n in names]
        self.write(give_slots_back, names=full_names, slots=slots, now=self.now)
        for n in names:
            self.unleased[n] = max(0, self.unleased[n] - slots)

    def step_release(self, index: int) -> None:
        for id in self.made[index : index + 1]:
            self.write(release_lease, lease_id=id, now=self.now)
            self.leases.pop(id, None)

    def step_renew(self, index: int) -> None:
        for id in self.made[index : index + 1]:
            arguments = {"lease_id": id, "duration": MINUTE, "now": self.now}
            if id in self.leases:
                self.write(renew, **arguments)
                self.leases[id].until = self.now + MINUTE
            else:
                with pytest.raises(Gone):
                    self.write(renew, **arguments)

    def step_later(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.portal.call(repossess_slots, self.db, self.now)
        for id in [id for id, lease in self.leases.items() if lease.until <= self.now]:
            del self.leases[id]

    def step_set(self, names: list[str], slots: int) -> None:
        for n in names:
            body = ConcurrencyLimitV2Update(active_slots=slots)
            self.write(update_limit, id_or_name=self.prefix + n, body=body, now=self.now)
            if slots < self.leased(n):
                self.forget(n)
            self.unleased[n] = slots - self.leased(n)

    def step_delete(self, names: list[str]) -> None:
        for n in names:
            self.write(delete_limit, id_or_name=self.prefix + n)
            self.make_limit(n)
            self.forget(n)
            self.unleased[n] = 0

    def forget(self, name: str) -> None:
        for lease in self.leases.values():
            lease.slots.pop(name, None)

    def check(self) -> None:
        for n in LIMITS:
            row = self.portal.call(self.db.read, partial(select_limit, id_or_name=self.prefix + n))
            assert row.active_slots == self.active(n)
            leased = partial(count_leased_slots, limit_id=row.id)
            assert self.portal.call(self.db.read, leased) == self.leased(n)


def test_slots_never_leak_and_are_never_granted_twice(portal: Any, db: Database) -> None:
    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
        phases=[Phase.generate],  # to shrink a failure on a database takes too long
    )
    @given(st.lists(step, min_size=10, max_size=30))
    def holds(steps: list[tuple[Any, ...]]) -> None:
        world = World(portal, db, f"{new_id(datetime.now(UTC))}-")
        for name in LIMITS:
            world.make_limit(name)
        for what, *arguments in steps:
            getattr(world, f"step_{what}")(*arguments)
            world.check()

    holds()


@pytest.mark.anyio
@pytest.mark.usefixtures("anyio_backend")
async def test_many_at_once_take_no_more_than_there_is(database_url: str) -> None:
    """Two servers where they may share a database; each slot is held for a moment."""
    servers = 2 if database_url.startswith("postgres") else 1
    databases = [await Database.open(database_url) for _ in range(servers)]
    for name, limit in LIMITS.items():
        values = {"name": name, "limit": limit}
        await databases[0].write(partial(insert_limit, values=values, now=NOW))
    held = most = granted = 0

    async def take_and_release(n: int) -> None:
        nonlocal held, most, granted
        db = databases[n % servers]
        names = ["b", "a"] if n % 3 else ["a"]
        taken = await db.write(
            partial(take_slots, names=names, slots=1, now=NOW, lease=Lease(MINUTE))
        )
        if taken.lease_id is None:
            return
        held, granted = held + 1, granted + 1
        most = max(most, held)
        await asyncio.sleep(0)
        held -= 1
        other = databases[(n + 1) % servers]
        await other.write(partial(release_lease, lease_id=taken.lease_id, now=NOW))

    await asyncio.gather(*[take_and_release(n) for n in range(120)])
    assert most <= LIMITS["a"]
    assert granted >= LIMITS["a"]
    for name in LIMITS:
        row = await databases[0].read(partial(select_limit, id_or_name=name))
        assert row is not None
        assert row.active_slots == 0
    for db in databases:
        await db.close()
