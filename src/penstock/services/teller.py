"""Makes events of what units of work have told: wakes, publishes, and keeps them."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from penstock.core.errors import PenstockServerError
from penstock.core.run_events import Event, Names, as_id, as_time, flow_run_event
from penstock.operations.hub import Hub
from penstock.operations.streams import Streams
from penstock.services.taken_in import TakenInElsewhere
from penstock.store.database import Database
from penstock.store.flow_runs import NEW_SCHEDULED_RUN, NEW_STATE, NEW_STATES
from penstock.store.outbox import Told
from penstock.store.run_names import select_names
from penstock.store.task_deliveries import NEW_DELIVERY

logger = logging.getLogger(__name__)

#: how long events wait for company before they are stored
STORE_SECONDS = 0.1
RETRY_SECONDS = 1.0
#: names may change (a queue's can), so they are not remembered for longer
NAMES_SECONDS = 60.0

#: states whose runs count towards the limits of queue and pool
_HOLD_SLOT = ("PENDING", "RUNNING")

Mark = TypeVar("Mark")


class Teller:
    """Makes events of what was told, and tells the hub."""

    def __init__(self, db: Database, hub: Hub, elsewhere: TakenInElsewhere | None = None) -> None:
        self._db = db
        self._hub = hub
        self._elsewhere = elsewhere
        self._names = Names()
        self._names_until = datetime.now(UTC)
        #: states whose runs this server woke a waiter for at commit, before it read their rows
        self._woken: set[str] = set()

    def wake(self, told: Sequence[Told], *, early: bool = False) -> None:
        """Wake those who wait for runs that became due, or for slots that were freed.

        `early`: the rows will be read as well.
        """
        self._wake_task_workers(told)
        if not self._hub.due:
            # Whoever comes later looks into the database first; waking one twice does no harm.
            self._woken.clear()
            return
        now = datetime.now(UTC)
        for kind, body in _single(told):
            if kind not in (NEW_STATE, NEW_SCHEDULED_RUN):
                continue
            run, state, previous = body["run"], body["state"], body["from"]
            if run.get("work_queue_id") is None:
                continue
            if previous and previous["type"] in _HOLD_SLOT and state["type"] not in _HOLD_SLOT:
                self._hub.due.free_slot(as_id(run["work_queue_id"]))
            if state["type"] != "SCHEDULED":
                continue
            if early:
                self._woken.add(str(state["id"]))
            elif str(state["id"]) in self._woken:
                self._woken.discard(str(state["id"]))
                continue
            at = state.get("scheduled_time")
            self._hub.due.wake(as_id(run["work_queue_id"]), at and as_time(at), now)

    def _wake_task_workers(self, told: Sequence[Told]) -> None:
        if not self._hub.due_tasks:
            return
        now = datetime.now(UTC)
        for one in told:
            if one.kind == NEW_DELIVERY:
                self._hub.due_tasks.wake(one.body["task_key"], as_time(one.body["at"]), now)

    async def publish(self, told: Sequence[Told]) -> list[Event]:
        """Tell the events to those who listen; the events that are still to be stored."""
        now = datetime.now(UTC)
        states = [body for kind, body in _single(told) if kind == NEW_STATE]
        if states:
            await self._learn_names(states, now)
        taken_in = await self._elsewhere.events(told) if self._elsewhere else {}
        made: list[Event] = []
        live: list[Event] = []
        for one in told:
            events = [e for k, body in _single([one]) if (e := self._told_event(k, body, now))]
            made += events
            live += events or taken_in.get(one.seq, ())
        self._hub.events.publish(live)
        return made

    def _told_event(self, kind: str, body: dict[str, Any], now: datetime) -> Event | None:
        try:
            return self._event(kind, body, now)
        except Exception:  # the events behind it must not wait for one that cannot be made
            logger.exception("No event can be made of what was told: %s", kind)
            return None

    def _event(self, kind: str, body: dict[str, Any], now: datetime) -> Event | None:
        if kind == NEW_STATE:
            return flow_run_event(body, self._names, now)
        if kind == "event":
            again = {"id": as_id(body["id"]), "occurred": as_time(body["occurred"])}
            follows = body.get("follows")
            return body | again | {"follows": follows and as_id(follows), "received": now}
        return None

    async def _learn_names(self, states: Sequence[dict[str, Any]], now: datetime) -> None:
        if now > self._names_until:
            self._names = Names()
            self._names_until = now + timedelta(seconds=NAMES_SECONDS)
        names, runs = self._names, [s["run"] for s in states]
        missing = [
            {as_id(run[key]) for run in runs if run.get(key) is not None} - known.keys()
            for key, known in (
                ("flow_id", names.flows),
                ("deployment_id", names.deployments),
                ("work_queue_id", names.queues),
            )
        ]
        if not any(missing):
            return
        found = await self._db.read(lambda tx: select_names(tx, *missing))
        names.learn(found)


class EventKeeper(Generic[Mark]):
    """Stores events in the background, again and again until it works: none must be lost.

    Each batch carries a mark, its place in the outbox; `stored` is that of the last one stored.
    """

    def __init__(self, streams: Streams, beginning: Mark) -> None:
        self._streams = streams
        self._waiting: list[Event] = []
        self._mark = beginning
        self._added = asyncio.Event()
        self.stored = beginning
        #: set when `stored` has moved
        self.moved = asyncio.Event()

    def add(self, events: Sequence[Event], mark: Mark) -> None:
        """Have a batch stored soon."""
        self._waiting += events
        self._mark = mark
        self._added.set()

    async def run(self) -> None:
        """Store for ever."""
        while True:
            await self._added.wait()
            await asyncio.sleep(STORE_SECONDS)
            self._added.clear()
            if not await self._stored_what_waits():
                await asyncio.sleep(RETRY_SECONDS)
                self._added.set()

    async def finish(self) -> None:
        """Store what waits, after `run` was cancelled. The outbox keeps what cannot be stored."""
        await self._stored_what_waits()

    async def _stored_what_waits(self) -> bool:
        events, mark = list(self._waiting), self._mark
        try:
            await self._streams.store_events(events, datetime.now(UTC))
        except PenstockServerError as e:
            logger.warning("Events cannot be stored now: %s", e)
            return False
        except Exception:  # to stop would lose them: they stay here and in the outbox
            logger.exception("Events cannot be stored")
            return False
        del self._waiting[: len(events)]
        self.stored = mark
        self.moved.set()
        return True


def _single(told: Sequence[Told]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each thing that was told by itself, with its kind."""
    for one in told:
        if one.kind == NEW_STATES:
            for state in one.body["states"]:
                yield NEW_STATE, state
        else:
            yield one.kind, one.body
