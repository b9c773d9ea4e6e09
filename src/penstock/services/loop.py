"""Background loops: each runs once now and then, on one server at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from penstock.core.errors import PenstockServerError
from penstock.core.ids import new_id
from penstock.store.database import Database
from penstock.store.leases import claim_leases, insert_leases, release_leases

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30
RENEW_SECONDS = 10
#: a loop that comes so much too late finds that the machine has slept, or its clock was set
SLEPT = timedelta(seconds=10)

RunOnce = Callable[[Database, datetime], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Loop:
    """One background job: its name, how often it runs, and what it does.

    `run_once(db, now)` does what is due and returns how many things it did. `wake`, where given,
    makes the loop run before its time. `settle_seconds` is how long the server must have had the
    lease, been awake and done without errors before the first run.
    """

    name: str
    every_seconds: float
    run_once: RunOnce
    wake: asyncio.Event | None = None
    settle_seconds: float = 0.0


class Awake:
    """Since when this process has been running without a break: neither stopped nor asleep."""

    #: it says so at least this often
    EVERY_SECONDS = 5

    def __init__(self) -> None:
        self.since = self._seen = datetime.now(UTC)

    def beat(self, now: datetime) -> None:
        """Say that the process runs."""
        if now - self._seen > timedelta(seconds=self.EVERY_SECONDS) + SLEPT:
            self.since = now
        self._seen = now


class Leases:
    """Which loops this server may run: all on SQLite, else those it has the lease of."""

    def __init__(self, db: Database, names: Sequence[str]) -> None:
        self._db = db
        self._names = list(names)
        self._holder: UUID = new_id(datetime.now(UTC))
        #: since when each lease has been held without a break
        self._since: dict[str, datetime] = {}
        self._until = datetime.now(UTC)

    def held_since(self, name: str) -> datetime | None:
        """Since when this server has had the lease; None when it has it not (or no longer)."""
        if self._db.is_postgres and datetime.now(UTC) >= self._until:
            return None
        return self._since.get(name)

    async def start(self) -> None:
        """Take what is free."""
        now = datetime.now(UTC)
        if not self._db.is_postgres:
            self._since = dict.fromkeys(self._names, now)
            return
        insert = partial(insert_leases, names=self._names, holder=self._holder, now=now)
        await self._db.write(insert)
        await self._claim()

    async def keep(self) -> None:
        """Renew for ever."""
        while self._db.is_postgres:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._claim()
            except PenstockServerError as e:
                logger.warning("Could not renew the leases of the background loops: %s", e)

    async def release(self) -> None:
        """Let other servers have them."""
        if self._db.is_postgres:
            await self._db.write(partial(release_leases, holder=self._holder))

    async def _claim(self) -> None:
        now = datetime.now(UTC)
        until = now + timedelta(seconds=LEASE_SECONDS)
        claim = partial(claim_leases, names=self._names, holder=self._holder, now=now, until=until)
        held = await self._db.write(claim, one_statement=True)
        # Leases that had run out before this moment were held with a break.
        before = self._since if now < self._until else {}
        self._since = {n: before.get(n, now) for n in held}
        self._until = until


async def run_loop(db: Database, leases: Leases, loop: Loop, awake: Awake | None = None) -> None:
    """Run one loop until cancelled. An error is logged and does not end it.

    `awake` beats between the runs of a loop that runs rarely.
    """
    seen = steady = datetime.now(UTC)
    while True:
        await _until_due(loop)
        now = datetime.now(UTC)
        if awake is not None:
            awake.beat(now)
            steady = max(steady, awake.since)
        if now - seen > timedelta(seconds=loop.every_seconds) + SLEPT:
            steady = now
        seen = now
        since = leases.held_since(loop.name)
        if since is None or now - max(since, steady) < timedelta(seconds=loop.settle_seconds):
            continue
        try:
            done = await loop.run_once(db, now)
        except PenstockServerError as e:
            steady = now
            logger.warning("%s: %s", loop.name, e)
        except Exception:  # a loop that ends would leave its work undone for ever
            steady = now
            logger.exception("%s failed; it runs again in %s s", loop.name, loop.every_seconds)
        else:
            seen = datetime.now(UTC)
            if done:
                logger.info("%s: %d", loop.name, done)


async def _until_due(loop: Loop) -> None:
    if loop.wake is None:
        await asyncio.sleep(loop.every_seconds)
        return
    try:
        async with asyncio.timeout(loop.every_seconds):
            await loop.wake.wait()
    except TimeoutError:
        return
    loop.wake.clear()
