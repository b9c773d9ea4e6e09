"""What a measurement is: rows with budgets, and a way to take one sample of a target."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench.loadgen import Load, Result
from bench.targets import Target

#: one repetition: the value of each row, by the row's key
Sample = Callable[[], dict[str, float]]
#: prepares a target and gives what takes samples of it; leaving the block ends what it started
Session = Callable[[Target, "Effort"], AbstractContextManager[Sample]]


class NotMeasured(Exception):
    """Why a row has no value for this target."""


@dataclass(frozen=True)
class Effort:
    """How long and how often to measure."""

    once: int = 1
    repetitions: int = 3
    #: of load per repetition, seconds
    seconds: float = 3.0
    #: repetitions of what takes one short process each, and of create -> first line
    starts: int = 5
    dispatches: int = 7
    idle_seconds: float = 8.0
    statement_seconds: float = 20.0
    worker_seconds: float = 15.0
    tasks: int = 1000
    #: stored runs in lists and counts, due runs in the queue that is polled
    runs: int = 100_000
    due: int = 100_000

    @classmethod
    def quick(cls, runs: int) -> "Effort":
        """Enough to see that everything works; the figures are rough."""
        return cls(
            repetitions=1,
            seconds=0.7,
            starts=1,
            dispatches=2,
            idle_seconds=2.0,
            statement_seconds=5.0,
            worker_seconds=3.0,
            tasks=200,
            runs=min(runs, 5000),
            due=5000,
        )


@dataclass(frozen=True)
class Row:
    """One line of the table: what it shows, and the budget on each database."""

    key: str
    what: str
    unit: str
    sqlite: float | None = None
    postgres: float | None = None
    #: a rate has to reach its budget, anything else has to stay below it
    rate: bool = False

    def budget(self, target: str) -> float | None:
        """The budget on a database; the peer has none."""
        return {"sqlite": self.sqlite, "postgres": self.postgres}.get(target)


@dataclass(frozen=True)
class Measurement:
    """Rows that are measured together."""

    name: str
    rows: tuple[Row, ...]
    session: Session
    #: which field of Effort says how often
    repeated: str = "repetitions"
    #: columns it fills; what knows no database fills ours only once
    targets: tuple[str, ...] = ("sqlite", "postgres", "peer")


def session(take: Callable[[Target, Effort], dict[str, float]]) -> Session:
    """A session that needs nothing around its samples."""

    @contextmanager
    def run(target: Target, effort: Effort) -> Iterator[Sample]:
        yield lambda: take(target, effort)

    return run


def finish(load: Load, target: Target) -> Result:
    """Run a load. What failed is told; NotMeasured when nothing succeeded."""
    result = load.run()
    if result.errors:
        told = "; ".join(f"{count} x {text}" for text, count in result.errors.most_common(2))
        if not any(result.iterations.values()):
            raise NotMeasured(told)
        print(f"    {target.name}: errors: {told}", file=sys.stderr, flush=True)
    return result
