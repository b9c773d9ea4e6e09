"""The order in which the queues of a pool are served: distinct numbers, 1 first."""

from collections.abc import Collection, Mapping
from typing import TypeVar

K = TypeVar("K")


def first_free_priority(taken: Collection[int]) -> int:
    """The smallest number from 1 that is not taken."""
    priority = 1
    while priority in taken:
        priority += 1
    return priority


def make_room(priorities: Mapping[K, int], at: int) -> dict[K, int]:
    """Who moves where so that `at` is free: its holder down by one, and so on up to a gap."""
    holders = {priority: key for key, priority in priorities.items()}
    moved = {}
    while at in holders:
        moved[holders[at]] = at + 1
        at += 1
    return moved


def close_gap(priorities: Mapping[K, int], left: int) -> dict[K, int]:
    """Who moves where once the holder of `left` is gone: all after it up by one."""
    return {key: priority - 1 for key, priority in priorities.items() if priority > left}
