"""The sequences of requests, by name."""

from collections.abc import Callable

from tests.wire.differences.pair import Pair

Sequence = Callable[[Pair], None]
SEQUENCES: dict[str, Sequence] = {}


def sequence(function: Sequence) -> Sequence:
    """Register a sequence under its function's name."""
    assert function.__name__ not in SEQUENCES, function.__name__
    SEQUENCES[function.__name__] = function
    return function
