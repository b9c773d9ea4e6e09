"""The table of what was measured, and docs/performance.md with it."""

import dataclasses
import os
import platform
import sqlite3
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measurement import Effort, Row

BEGIN = "<!-- written by hand: from here -->"
END = "<!-- written by hand: to here -->"
LIMITS = f"""{BEGIN}

Not looked into yet.

{END}"""
HEADS = (
    "what",
    "unit",
    "budget, SQLite / PostgreSQL",
    "SQLite",
    "PostgreSQL",
    "Prefect",
    "times as good as Prefect, SQLite / PostgreSQL",
    "verdict, SQLite / PostgreSQL",
)


@dataclass
class Measured:
    """A row and what was found for each target."""

    row: Row
    #: one value per repetition
    values: dict[str, list[float]] = field(default_factory=dict)
    #: why a target has no values
    missing: dict[str, str] = field(default_factory=dict)

    def median(self, target: str) -> float | None:
        """The median of the repetitions."""
        values = self.values.get(target)
        return statistics.median(values) if values else None

    def verdict(self, target: str) -> str:
        """`met` or `missed`, or a dash when there is no budget or no figure."""
        budget, median = self.row.budget(target), self.median(target)
        if budget is None or median is None:
            return "–"
        return "met" if (median >= budget if self.row.rate else median <= budget) else "**missed**"

    def ratio(self, target: str) -> str:
        """How many times as good as the peer: as fast, or as small."""
        ours, peer = self.median(target), self.median("peer")
        if not ours or not peer:
            return "–"
        return f"{_short(ours / peer if self.row.rate else peer / ours)}x"

    def figure(self, target: str) -> str:
        """Median and range."""
        values = self.values.get(target)
        if not values:
            return "failed" if target in self.missing else "–"
        if len(values) == 1:
            return _short(values[0])
        low, high = _short(min(values)), _short(max(values))
        return f"{_short(statistics.median(values))} ({low}-{high})"

    def cells(self, effort: Effort) -> list[str]:
        """The row of the table."""
        sign = ">=" if self.row.rate else "<="
        both = ("sqlite", "postgres")
        budgets = [self.row.budget(t) for t in both]
        limits = ["–" if b is None else f"{sign} {b:,g}" for b in budgets]
        return [
            self.row.what.format(**dataclasses.asdict(effort)),
            self.row.unit,
            limits[0] if limits[0] == limits[1] else _pair(*limits),
            *[self.figure(t) for t in (*both, "peer")],
            _pair(*[self.ratio(t) for t in both]),
            _pair(*[self.verdict(t) for t in both]),
        ]


def _pair(a: str, b: str) -> str:
    """Both; one of them where the other has nothing to say."""
    said = [x for x in (a, b) if x != "–"]
    return " / ".join((a, b)) if len(said) == 2 else (said or ["–"])[0]


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


class Machine:
    """Where and when it was measured, and how much of the machine was to be had."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.load_before = os.getloadavg()
        self.probes: list[float] = []

    def probe(self) -> None:
        """Time a fixed piece of work; more than at the best time means others had the processor."""
        began, x = time.perf_counter(), 0
        for i in range(400_000):
            x += i
        self.probes.append((time.perf_counter() - began) * 1000)

    def facts(self, postgres: str, peer: str | None) -> dict[str, str]:
        """What a reader needs to know to judge the figures."""
        cpuinfo = Path("/proc/cpuinfo").read_text()
        memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
        models = [x.partition(":")[2].strip() for x in cpuinfo.splitlines() if "model name" in x]
        loads = [f"{before:.1f}" for before in (self.load_before[0], os.getloadavg()[0])]
        minutes = (datetime.now(UTC) - self.started_at).total_seconds() / 60
        return {
            "Date": f"{self.started_at:%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes",
            "Processor": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
            "Memory": f"{memory_kb / 2**20:.0f} GiB",
            "Kernel": platform.release(),
            "Python": platform.python_version(),
            "SQLite": f"{sqlite3.sqlite_version}, synchronous=FULL",
            "PostgreSQL": f"{postgres}, its defaults (fsync on)",
            "Prefect": peer or "not installed",
            "Load average": f"{loads[0]} before, {loads[1]} after",
            "A fixed piece of Python work": (
                f"{min(self.probes):.0f} ms at best, {statistics.median(self.probes):.0f} ms in "
                f"the median, {max(self.probes):.0f} ms at worst: the slower, the more others used "
                "the machine"
            ),
        }


def table(measured: list[Measured], effort: Effort) -> str:
    """The table, as Markdown that reads well on a terminal too."""
    rows = [list(HEADS), *[m.cells(effort) for m in measured]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def write_page(path: Path, body: str, facts: dict[str, str], command: str) -> None:
    """Write the page anew; what stands between the two marks stays."""
    old = path.read_text() if path.exists() else ""
    by_hand = LIMITS
    if BEGIN in old and END in old:
        by_hand = BEGIN + old.partition(BEGIN)[2].partition(END)[0] + END
    machine = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    path.write_text(
        f"""# Performance

Written by `{command}`; the section on limits is written by hand and kept.

Every figure is the median of its repetitions with the lowest and the highest in brackets. The
servers take turns (SQLite, PostgreSQL, the peer, and again), so that what else happens on the
machine meets them all. The peer stands still while others are measured, because what it puts off
goes on for minutes. The load generator and PostgreSQL share the machine with the server.

{body}

## Where it was measured

| | |
|---|---|
{machine}

## What limits the rows that miss

{by_hand}

## How the rows are measured

- Servers are processes of their own on new databases, reached over HTTP on loopback, one process
  each. A request's time runs from handing it to the kernel to the last byte of the answer.
- Creates carry what `run_deployment()` sends: parameters that are checked against the deployment's
  schema, two tags, an idempotency key of their own, a state one hour ahead.
- A lifecycle is four requests, each sent after the last was answered; every answer is ACCEPT.
- Large tables are filled by SQL with the server stopped: copies of one run made over HTTP, with
  new ids, names and times, and on PostgreSQL a `VACUUM ANALYZE`. The runs of the queue that is
  polled were due ten minutes ago; completed runs are spread over 24 hours.
- Create -> first line runs through a process worker that has executed another flow before. "Flow
  not seen": the first run of a deployment whose file no process of the worker has loaded; "flow
  seen": the run after it.
- Overhead per task: a flow that calls a recorded task so often, less the same flow calling the
  plain function, until all is sent; the server runs.
- Processor and memory are of the server's processes; those of PostgreSQL are not counted.
- `import`, `--help` and "server ready" include starting the interpreter.

With `PENSTOCK_BENCH_PEER` set to a virtual environment that has Prefect, it is measured too; on the
machine's own PostgreSQL when that has `pg_trgm`, else on SQLite. `make bench-quick` looks whether
everything works. `python -m bench --help` names the options: one measurement alone, 1,000,000 runs,
JSON. `python -m bench.stages` shows where the time of a
create and of a state change goes; with `--profile`, function by function.
"""
    )


def as_json(measured: list[Measured], effort: Effort, facts: dict[str, str]) -> dict[str, Any]:
    """Every value of every repetition."""
    rows = [
        {
            **dataclasses.asdict(m.row),
            "what": m.cells(effort)[0],
            "values": m.values,
            "missing": m.missing,
        }
        for m in measured
    ]
    return {"machine": facts, "effort": dataclasses.asdict(effort), "rows": rows}
