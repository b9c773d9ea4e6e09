"""Random names for runs that were given none."""

from functools import cache
from typing import Protocol


class _Generate(Protocol):
    def __call__(self, pattern: int, /) -> str: ...


@cache
def _generator() -> _Generate:
    # reading the word lists takes 60 ms, which only the server should spend
    from coolname import generate_slug

    return generate_slug


#: adjectives of the library's list that nobody wants to read in a report
_UNWANTED = ("cocky-", "fat-", "kickass-", "sexy-")


def random_name() -> str:
    """An adjective and an animal, such as `pretty-robin`; 3 us each but for the first."""
    name = _generator()(2)
    while name.startswith(_UNWANTED):
        name = _generator()(2)
    return name
