"""Arithmetic of concurrency limits: decay, free slots, occupancy, and when to try again.

No clock and no randomness in here: `now` and `draw` (uniform in 0..1) are parameters.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

#: seconds that a slot of a new limit is believed to be held
FIRST_OCCUPANCY_SECONDS = 2.0
#: the least seconds that a slot counts as held
MIN_OCCUPANCY_SECONDS = 0.1
#: who is denied by a limit without decay waits at most so many seconds; a task run rather less
MAX_WAIT_SECONDS = 30.0
MAX_TASK_WAIT_SECONDS = 10.0
#: who is denied by a rate limit, however slow, tries again within an hour
MAX_RATE_WAIT_SECONDS = 3600.0
#: waits differ by this share, so that those who were denied together do not come back together
SPREAD = 0.3
#: seconds for which a slot is kept for a run that was taken, unless its deployment says else
GRACE_SECONDS = 300
#: what a counter of slots can hold
MAX_SLOTS = 2**31 - 1
#: compat: prefect 3.8.8 names the limit of a tag so, in both of its APIs
TAG_PREFIX = "tag:"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on how many slots may be taken at once, as it was written at `updated`."""

    id: UUID
    name: str
    #: slots that may be taken at once
    limit: int
    #: whether it limits anything now
    active: bool
    #: slots taken at `updated`; those of a rate limit come back by themselves since
    active_slots: int
    #: slots asked for in vain lately
    denied_slots: int
    #: slots that come back by themselves; 0: none, slots are given back by their holders
    slot_decay_per_second: float
    #: how long a slot is held, a moving average
    avg_slot_occupancy_seconds: float
    #: since when decay is counted
    updated: datetime

    @property
    def is_of_tag(self) -> bool:
        """Whether it limits the task runs with a tag."""
        return self.name.startswith(TAG_PREFIX)


@dataclass(frozen=True, slots=True)
class DeploymentSlots:
    """What limits how many runs of a deployment are executed at once."""

    limit: Limit
    #: a run that finds no slot is cancelled; else it waits for one
    cancels_new: bool = False
    #: seconds for which a taken slot is kept until the run starts
    grace_seconds: int = GRACE_SECONDS
    #: the run itself holds a slot
    is_held: bool = False

    def are_free(self, now: datetime) -> bool:
        """Whether the run may have a slot now, its own if it holds one."""
        return free_slots(self.limit, now) + self.is_held > 0


def limit_at(limit: Limit, now: datetime) -> Limit:
    """The limit as of now: what has decayed since it was written is gone.

    `updated` moves by what the whole slots that came back took, so that no part of a slot is lost
    however often a limit is written.
    """
    rate = limit.slot_decay_per_second or _denied_decay(limit)
    seconds = max(0.0, (now - limit.updated).total_seconds())
    gone = math.floor(min(rate * seconds, MAX_SLOTS))
    active = limit.active_slots
    if limit.slot_decay_per_second:
        active = max(0, active - gone)
    denied = max(0, limit.denied_slots - gone)
    decays = denied or (limit.slot_decay_per_second and active)
    since = limit.updated + timedelta(seconds=gone / rate) if decays else now
    return replace(
        limit, active_slots=active, denied_slots=denied, updated=max(since, limit.updated)
    )


def _denied_decay(limit: Limit) -> float:
    occupancy = max(limit.avg_slot_occupancy_seconds, MIN_OCCUPANCY_SECONDS)
    return 1 / min(occupancy, _longest_wait(limit))


def _longest_wait(limit: Limit) -> float:
    return MAX_TASK_WAIT_SECONDS if limit.is_of_tag else MAX_WAIT_SECONDS


def free_slots(limit: Limit, now: datetime) -> int:
    """How many slots may be taken now."""
    return max(0, limit.limit - limit_at(limit, now).active_slots)


def with_slots_taken(limit: Limit, slots: int, now: datetime) -> Limit | None:
    """The limit with so many slots more taken; None when they are not free."""
    limit = limit_at(limit, now)
    if limit.active_slots + slots > limit.limit:
        return None
    return replace(limit, active_slots=limit.active_slots + slots)


def with_slots_denied(limit: Limit, slots: int, now: datetime) -> Limit:
    """The limit once somebody has asked for slots in vain."""
    limit = limit_at(limit, now)
    return replace(limit, denied_slots=min(limit.denied_slots + slots, MAX_SLOTS))


def with_slots_back(
    limit: Limit, slots: int, now: datetime, occupancy_seconds: float | None = None, leased: int = 0
) -> Limit:
    """The limit with slots given back, that were held so long (all of them together, if known).

    `leased` slots belong to leases and stay taken, whoever gives back more than was taken.
    """
    limit = limit_at(limit, now)
    least = 0 if limit.slot_decay_per_second else min(leased, limit.active_slots)
    back = replace(limit, active_slots=max(least, limit.active_slots - slots))
    if occupancy_seconds is None:
        return back
    held = max(occupancy_seconds / slots, MIN_OCCUPANCY_SECONDS)
    average = limit.avg_slot_occupancy_seconds
    moved = average + (held - average) / (2 * max(limit.limit, 1))
    return replace(back, avg_slot_occupancy_seconds=moved)


def retry_after(limits: list[Limit], draw: float) -> float:
    """Seconds after which a denied request makes sense again, its slots noted as denied."""
    return spread(max(_expected_wait(limit) for limit in limits), draw)


def _expected_wait(limit: Limit) -> float:
    if limit.slot_decay_per_second:
        return min(limit.denied_slots / limit.slot_decay_per_second, MAX_RATE_WAIT_SECONDS)
    longest = _longest_wait(limit)
    occupancy = min(limit.avg_slot_occupancy_seconds, longest)
    return min(occupancy * limit.denied_slots / max(limit.limit, 1), longest)


def task_wait_seconds(limits: list[Limit], draw: float) -> int:
    """Whole seconds that a task run waits which full limits of its tags hold back."""
    occupancy = max(limit.avg_slot_occupancy_seconds for limit in limits)
    return max(1, round(spread(min(occupancy, MAX_TASK_WAIT_SECONDS), draw)))


def spread(seconds: float, draw: float) -> float:
    """A random wait of about so many seconds: as between events of that rate, without extremes."""
    low, high = 1 - math.exp(SPREAD - 1), 1 - math.exp(-SPREAD - 1)
    return -seconds * math.log(1 - (low + draw * (high - low)))


def decide_grant(limits: list[Limit], slots: int, now: datetime) -> tuple[bool, list[Limit]]:
    """Whether all limits have so many slots free, and the limits as they are then.

    All or none: granted, all of them have the slots taken; denied, only those that have none free
    are given back, and have the demand noted.
    """
    taken = [with_slots_taken(limit, slots, now) for limit in limits]
    granted = [limit for limit in taken if limit is not None]
    if len(granted) == len(limits):
        return True, granted
    full = [limit for limit, t in zip(limits, taken, strict=True) if t is None]
    return False, [with_slots_denied(limit, slots, now) for limit in full]
