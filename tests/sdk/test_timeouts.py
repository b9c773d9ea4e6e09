"""Time limits around limits, in the main thread and in others."""

import threading
import time
from collections.abc import Callable

import pytest

from penstock.sdk.timeouts import BodyTimedOut, time_limit


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)


def in_thread(call: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def here(call: Callable[[], None]) -> None:
    call()


@pytest.mark.parametrize("where", [here, in_thread])
def test_the_inner_limit_ends_the_inner_body_only(where: Callable[..., None]) -> None:
    def body() -> None:
        with time_limit(10):
            with pytest.raises(BodyTimedOut, match=r"longer than 0.1 s"), time_limit(0.1):
                spin(5)
            spin(0.05)

    where(body)


@pytest.mark.parametrize("where", [here, in_thread])
def test_the_outer_limit_holds_inside_the_inner_one(where: Callable[..., None]) -> None:
    limits: list[type[BodyTimedOut] | None] = []

    def body() -> None:
        with time_limit(0.2) as outer, time_limit(10) as inner:
            limits.extend((outer, inner))
            spin(5)

    started = time.monotonic()
    with pytest.raises(BodyTimedOut) as caught:
        where(body)
    assert time.monotonic() - started < 3
    assert caught.type is limits[0]
    assert limits[0] is not limits[1]


def test_the_outer_limit_goes_on_after_the_inner_body() -> None:
    def body() -> None:
        with time_limit(0.3):
            with time_limit(0.2):
                spin(0.05)
            spin(5)

    with pytest.raises(BodyTimedOut, match=r"longer than 0.3 s"):
        body()


def test_a_limit_that_was_kept_leaves_nothing_behind() -> None:
    with time_limit(0.1):
        pass
    time.sleep(0.15)


def test_no_limit_is_no_limit() -> None:
    with time_limit(None) as raised:
        assert raised is None
