"""The order of a pool's queues: who moves when one is put in or taken out."""

import pytest

from penstock.core.queue_priorities import close_gap, first_free_priority, make_room


@pytest.mark.parametrize(
    ("taken", "free"), [([], 1), ([1, 2], 3), ([1, 3], 2), ([2], 1), ([3, 2, 1], 4)]
)
def test_a_queue_without_a_priority_gets_the_first_that_is_free(
    taken: list[int], free: int
) -> None:
    assert first_free_priority(taken) == free


@pytest.mark.parametrize(
    ("priorities", "at", "moved"),
    [
        ({"a": 1}, 2, {}),
        ({"a": 1}, 1, {"a": 2}),
        ({"a": 1, "b": 2, "c": 4}, 1, {"a": 2, "b": 3}),
        ({"a": 1, "b": 3}, 2, {}),
    ],
)
def test_only_those_up_to_the_next_gap_move_down(
    priorities: dict[str, int], at: int, moved: dict[str, int]
) -> None:
    assert make_room(priorities, at) == moved


def test_all_after_a_queue_that_left_move_up() -> None:
    assert close_gap({"a": 1, "c": 3, "d": 5}, 2) == {"c": 2, "d": 4}
