"""What an engine asks its driver to do, and the two drivers.

The engines are generators of steps, written once: a step knows how to be done blocking and how
to be awaited, and its outcome is sent back into the engine. asyncio is loaded for async code only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from penstock.sdk.timeouts import time_limit

T = TypeVar("T")


class Step(Protocol):
    """One thing to do, in either colour."""

    def block(self) -> Any:
        """Does it and returns its outcome."""

    async def wait(self) -> Any:
        """Does it without blocking the event loop."""


Steps = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Do:
    """Calls something that may block for a while (a request, a flush)."""

    action: Callable[[], Any]

    def block(self) -> Any:
        """Calls it here."""
        return self.action()

    async def wait(self) -> Any:
        """Calls it in a thread."""
        import asyncio

        return await asyncio.to_thread(self.action)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Waits."""

    seconds: float

    def block(self) -> None:
        """Sleeps."""
        if self.seconds > 0:
            time.sleep(self.seconds)

    async def wait(self) -> None:
        """Sleeps, while other coroutines run."""
        import asyncio

        await asyncio.sleep(max(0.0, self.seconds))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the body ended: a value or an exception."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class RunBody:
    """Runs the user's function; every exception becomes an outcome."""

    body: Callable[[], Any]
    timeout_seconds: float | None = None

    def block(self) -> Outcome:
        """Runs a plain function."""
        if self.timeout_seconds is None:
            try:
                return Outcome(self.body())
            except BaseException as error:
                return Outcome(error=error)
        raised: type[BaseException] | None = None
        try:
            with time_limit(self.timeout_seconds) as raised:
                return Outcome(self.body())
        except BaseException as error:
            timed_out = raised is not None and isinstance(error, raised)
            return Outcome(error=error, timed_out=timed_out)

    async def wait(self) -> Outcome:
        """Awaits a coroutine function."""
        import asyncio

        limit = asyncio.timeout(self.timeout_seconds)
        try:
            async with limit:
                return Outcome(await self.body())
        except BaseException as error:
            return Outcome(error=error, timed_out=limit.expired())


def run_blocking(steps: Steps[T]) -> T:
    """Drives an engine to its end in this thread."""
    resume: Callable[[Any], Step] = steps.send
    value: Any = None
    while True:
        try:
            step = resume(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            value = step.block()
            resume = steps.send
        except BaseException as error:
            value = error
            resume = steps.throw


async def run_awaiting(steps: Steps[T]) -> T:
    """Drives an engine to its end in this event loop."""
    resume: Callable[[Any], Step] = steps.send
    value: Any = None
    while True:
        try:
            step = resume(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            value = await step.wait()
            resume = steps.send
        except BaseException as error:
            value = error
            resume = steps.throw


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end in a thread that has no event loop."""
    import asyncio

    return asyncio.run(coroutine)
