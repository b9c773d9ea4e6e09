"""`concurrency()` and `rate_limit()`: slots of the server's limits, and those of a task's tags."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from penstock.sdk import calls
from penstock.sdk.connection import shared_client
from penstock.sdk.context import current_flow_run, current_task_run
from penstock.sdk.errors import ApiError, AttemptLost, LeaseLost, NoSlotInTime
from penstock.sdk.run_logs import get_run_logger
from penstock.sdk.steps import Do, Sleep, Steps, run_awaiting, run_blocking

if TYPE_CHECKING:
    from penstock.sdk.client import Client

logger = logging.getLogger("penstock.concurrency")

LOCKED = 423
#: when a full limit does not say when to come back
DEFAULT_WAIT_SECONDS = 1.0
DEFAULT_LEASE_SECONDS = 300.0
#: the part of a lease after which it is renewed
RENEW_AFTER = 0.75
#: how long a process believes that tags have no limits
NO_LIMITS_SECONDS = 30.0


def _name_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _client() -> Client:
    flow_run = current_flow_run.get()
    return shared_client() if flow_run is None else flow_run.client


def _warn(text: str) -> None:
    log = logger if current_flow_run.get() is None else get_run_logger()
    log.warning("%s", text)


def _wait_steps(
    take: Callable[[], None], names: Sequence[str], timeout_seconds: float | None
) -> Steps[None]:
    """Takes slots, coming back when the server says so."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        try:
            yield Do(take)
            return
        except ApiError as error:
            if error.status != LOCKED:
                raise
            pause = DEFAULT_WAIT_SECONDS if error.retry_after is None else error.retry_after
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                listed = ", ".join(f"'{name}'" for name in names)
                raise NoSlotInTime(f"no slot of {listed} became free in {timeout_seconds:g} s")
            pause = min(pause, left)
        yield Sleep(pause)


class Slots:
    """Slots of named limits, held by a lease that the process renews until they are released."""

    def __init__(
        self,
        names: Sequence[str],
        slots: int = 1,
        lease_seconds: float = DEFAULT_LEASE_SECONDS,
        holder: dict[str, str] | None = None,
        client: Client | None = None,
    ) -> None:
        self.names = names
        #: set when the server ended the lease while we believed to hold it
        self.lost = False
        #: called once by the renewing thread when the lease is lost
        self.on_lost: Callable[[], None] | None = None
        self.lease_seconds = lease_seconds
        self.renew_at = 0.0
        self._slots = slots
        self._holder = holder
        self._client = client
        self._lease_id: str | None = None
        self._given_up = False
        self._changing = threading.Lock()

    def take(self) -> bool:
        """Asks once for the slots; False when no such limit exists. Raises ApiError 423 if full."""
        if self._client is None:
            self._client = _client()
        call = calls.increment_slots_with_lease(
            self.names,
            slots=self._slots,
            lease_duration=self.lease_seconds,
            holder=self._holder,
        )
        answer = self._client.do_json(call)
        if not answer["limits"]:
            return False
        with self._changing:
            self._lease_id = answer["lease_id"]
            given_up = self._given_up
        if given_up:  # whoever waited for the answer was cancelled meanwhile
            self.release()
            return True
        self.renew_at = time.monotonic() + RENEW_AFTER * self.lease_seconds
        _renewer.add(self)
        return True

    def renew(self) -> bool:
        """Lets the lease last longer; False when there is nothing left to renew."""
        lease_id = self._lease_id
        if lease_id is None or self._client is None:
            return False
        try:
            self._client.do(calls.renew_lease(lease_id, lease_duration=self.lease_seconds))
        except AttemptLost:  # 410
            if self._lease_id is None:  # released meanwhile
                return False
            self.lost = True
            if self.on_lost is not None:
                self.on_lost()
            return False
        except ApiError as error:
            logger.warning("%s", error)
            self.renew_at = time.monotonic() + 0.05 * self.lease_seconds
            return True
        self.renew_at = time.monotonic() + RENEW_AFTER * self.lease_seconds
        return True

    def release(self) -> None:
        """Gives the slots back; a second call does nothing."""
        with self._changing:
            self._given_up = True
            lease_id, self._lease_id = self._lease_id, None
        _renewer.remove(self)
        if lease_id is None or self._client is None:
            return
        try:
            self._client.do(calls.release_lease(lease_id))
        except ApiError as error:  # the lease ends by itself
            logger.warning("%s", error)


class _Renewer:
    """The thread that renews the leases of this process; it starts with the first lease."""

    def __init__(self) -> None:
        self._held: set[Slots] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, slots: Slots) -> None:
        with self._changed:
            self._held.add(slots)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="penstock-leases", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def remove(self, slots: Slots) -> None:
        with self._changed:
            self._held.discard(slots)

    def _run(self) -> None:
        while True:
            with self._changed:
                next_at = min((slots.renew_at for slots in self._held), default=None)
                pause = None if next_at is None else next_at - time.monotonic()
                if pause is None or pause > 0:
                    self._changed.wait(pause)
                    continue
                due = [slots for slots in self._held if slots.renew_at <= time.monotonic()]
            for slots in due:
                if not slots.renew():
                    self.remove(slots)


_renewer = _Renewer()


class concurrency:  # lower case: reads as a word after `with`
    """Holds slots of the named limits inside `with` or `async with`; names without a limit limit
    nothing.

    Waits as long as the limits are full, at most `timeout_seconds`: then raises NoSlotInTime.
    The slots come back when the block ends, or `lease_seconds` (60 to 86400) after the process
    died. When the server ended the lease meanwhile the run's log says so; with `strict=True`
    LeaseLost is raised at the end of a block that did not fail otherwise.
    """

    def __init__(
        self,
        names: str | Sequence[str],
        slots: int = 1,
        *,
        timeout_seconds: float | None = None,
        lease_seconds: float = DEFAULT_LEASE_SECONDS,
        strict: bool = False,
    ) -> None:
        self._names = _name_list(names)
        self._count = slots
        self._timeout_seconds = timeout_seconds
        self._lease_seconds = lease_seconds
        self._strict = strict
        self._entered: list[Slots] = []

    def _acquire(self) -> Steps[None]:
        holder = _holder_here()
        slots = Slots(self._names, self._count, self._lease_seconds, holder, _known_client())

        def take() -> None:
            slots.take()

        try:
            yield from _wait_steps(take, self._names, self._timeout_seconds)
        except BaseException:
            slots.release()
            raise
        self._entered.append(slots)

    def _check(self, slots: Slots, error: BaseException | None) -> None:
        if not slots.lost:
            return
        text = f"the lease on {', '.join(self._names)} was lost: others may have had the slots"
        if self._strict and error is None:
            raise LeaseLost(text)
        _warn(text)

    def __enter__(self) -> Self:
        run_blocking(self._acquire())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        slots = self._entered.pop()
        slots.release()
        self._check(slots, error)

    async def __aenter__(self) -> Self:
        await run_awaiting(self._acquire())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        slots = self._entered.pop()
        await asyncio.shield(asyncio.to_thread(slots.release))
        self._check(slots, error)


def _known_client() -> Client | None:
    flow_run = current_flow_run.get()
    return None if flow_run is None else flow_run.client


def _holder_here() -> dict[str, str] | None:
    task_run, flow_run = current_task_run.get(), current_flow_run.get()
    if task_run is not None:
        return {"type": "task_run", "id": str(task_run.id)}
    return None if flow_run is None else {"type": "flow_run", "id": flow_run.id}


def _rate_steps(names: list[str], slots: int, timeout_seconds: float | None) -> Steps[None]:
    def take() -> None:
        _client().do_json(calls.increment_slots(names, slots=slots, mode="rate_limit"))

    return _wait_steps(take, names, timeout_seconds)


def rate_limit(
    names: str | Sequence[str], slots: int = 1, *, timeout_seconds: float | None = None
) -> None:
    """Returns when the named rate limits have let these slots pass; they are not given back.

    Raises NoSlotInTime after `timeout_seconds`, InvalidInput for a limit that is no rate limit.
    """
    run_blocking(_rate_steps(_name_list(names), slots, timeout_seconds))


async def arate_limit(
    names: str | Sequence[str], slots: int = 1, *, timeout_seconds: float | None = None
) -> None:
    """As `rate_limit`, without blocking the event loop."""
    await run_awaiting(_rate_steps(_name_list(names), slots, timeout_seconds))


#: until when sets of tags are known to have no limits, by server
_unlimited: dict[tuple[str, tuple[str, ...]], float] = {}
#: one task at a time asks, so that the others of its tags can know the answer
_asking = threading.Lock()


def tag_slots_steps(client: Client, task_run_id: str, tags: Sequence[str]) -> Steps[Slots | None]:
    """Waits for the slots of the tags' limits; None when the tags have none."""
    key = (client.api_url, tuple(tags))
    if _unlimited.get(key, 0.0) > time.monotonic():
        return None
    holder = {"type": "task_run", "id": task_run_id}
    slots = Slots([f"tag:{tag}" for tag in tags], holder=holder, client=client)

    def take() -> None:
        with _asking:
            if _unlimited.get(key, 0.0) > time.monotonic():
                return
            if not slots.take():
                _unlimited[key] = time.monotonic() + NO_LIMITS_SECONDS

    try:
        yield from _wait_steps(take, slots.names, None)
    except BaseException:
        slots.release()
        raise
    return slots


def _after_fork() -> None:
    """A forked child holds none of its parent's leases."""
    global _renewer, _asking
    _renewer = _Renewer()
    _asking = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
