"""Bringing task runs of the background to task workers: each to one, until it acknowledges."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.core.states import StateType
from penstock.store import task_deliveries as store
from penstock.store.task_run_lists import select_task_run
from penstock.store.transaction import Transaction

#: how long a task worker may take to acknowledge what it was sent
ACK_SECONDS = 30.0
#: a claim is over then even if the server that made it has gone
CLAIM = timedelta(seconds=60)
#: how often it is noted that a task worker is connected, and when it no longer counts as such
SEEN_SECONDS = 15.0
STALE = timedelta(seconds=60)

#: task runs that one unit of work passes over: thousands may have been cancelled together
MAX_PASSED_OVER = 100


@dataclass(slots=True)
class Subscriber:
    """A task worker that is connected, by one connection."""

    id: UUID
    #: as it calls itself
    identifier: str
    #: which tasks it serves, the next one to look for first
    task_keys: list[str]
    #: what it was sent and has not acknowledged
    claimed: UUID | None = field(default=None)


def add_subscriber(tx: Transaction, subscriber: Subscriber, now: datetime) -> None:
    """Note that a task worker has connected; those whose server has vanished are forgotten."""
    store.delete_task_workers_before(tx, now - STALE)
    store.insert_task_worker(tx, subscriber.id, subscriber.identifier, subscriber.task_keys, now)


def see_subscriber(tx: Transaction, subscriber: Subscriber, now: datetime) -> None:
    """Note that a task worker is still connected."""
    store.update_task_worker(tx, subscriber.id, now)


def remove_subscriber(tx: Transaction, subscriber: Subscriber, now: datetime) -> None:
    """Note that a task worker has gone; what it has not acknowledged goes to another, at once."""
    store.delete_task_worker(tx, subscriber.id)
    if subscriber.claimed is not None:
        store.return_delivery(tx, subscriber.claimed, subscriber.id, now)


def take_task_run(tx: Transaction, subscriber: Subscriber, now: datetime) -> dict[str, Any] | None:
    """The next task run for a task worker, as the wire has it; None when none waits.

    One that was cancelled, deleted or started otherwise meanwhile is passed over; after so many of
    them None is given, too, and the rest is for the next look.
    """
    passed_over = 0
    for key in subscriber.task_keys:
        while (id := store.claim_delivery(tx, key, subscriber.id, now, now + CLAIM)) is not None:
            run = select_task_run(tx, id, now)
            if run is not None and run["state_type"] == StateType.SCHEDULED:
                return run
            store.delete_delivery(tx, id, subscriber.id)
            passed_over += 1
            if passed_over == MAX_PASSED_OVER:
                return None
    return None


def acknowledge_task_run(tx: Transaction, id: UUID, subscriber: Subscriber) -> None:
    """Note that a task worker has got a task run and will run it."""
    store.delete_delivery(tx, id, subscriber.id)


def next_delivery(tx: Transaction, task_keys: Collection[str]) -> datetime | None:
    """When to look again for these tasks even if nobody says so; None: no need."""
    return store.select_next_delivery(tx, task_keys)


def read_task_workers(
    tx: Transaction, task_keys: Sequence[str], now: datetime
) -> list[dict[str, Any]]:
    """The task workers that are connected; with keys only those that serve one of these tasks.

    One that has several connections is listed once, with all that it serves.
    """
    found: dict[str, dict[str, Any]] = {}
    for worker in store.select_task_workers(tx, now - STALE):
        known = found.setdefault(worker["identifier"], worker)
        known["task_keys"] = list(dict.fromkeys([*known["task_keys"], *worker["task_keys"]]))
        known["timestamp"] = max(known["timestamp"], worker["timestamp"])
    wanted = set(task_keys)
    return [w for w in found.values() if not wanted or not wanted.isdisjoint(w["task_keys"])]
