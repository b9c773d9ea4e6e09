"""`python -m bench`: measure our server on both databases, and the peer where it is installed."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson

from bench import client_rows, http_rows, list_rows, start_rows
from bench.loadgen import CallFailed
from bench.measurement import Effort, Measurement, NotMeasured, Sample
from bench.postgres import Postgres, SystemPostgres
from bench.report import Machine, Measured, as_json, table, write_page
from bench.targets import OnPostgres, Peer, Sqlite, Target

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
#: an idle server is measured before it has done anything; large tables come last
MEASUREMENTS = [
    *start_rows.MEASUREMENTS,
    *client_rows.MEASUREMENTS,
    *http_rows.MEASUREMENTS,
    *list_rows.MEASUREMENTS,
    http_rows.POLL,
]
#: why a target has no figure; anything else is a mistake in here
EXPECTED = (NotMeasured, CallFailed, RuntimeError, OSError, subprocess.SubprocessError)
#: repetitions of what takes the peer long: until its worker polls, until its bulk create answers
PEER_REPETITIONS = {"dispatch": 3, "bulk": 1, "start": 3, "ready": 2}


def options(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [m.name for m in MEASUREMENTS]
    p.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(names)}")
    p.add_argument("--target", action="append", choices=["sqlite", "postgres", "peer"])
    p.add_argument("--quick", action="store_true", help="short; the figures are rough")
    p.add_argument("--no-peer", action="store_true", help="leave the peer out")
    p.add_argument("--runs", type=int, default=100_000, help="stored runs in lists and counts")
    p.add_argument("--json", type=Path, metavar="FILE", help="every value, machine-readable")
    p.add_argument("--write", action="store_true", help="write docs/performance.md")
    a = p.parse_args(argv)
    for name in a.only or []:
        if name not in names:
            p.error(f"--only {name}: choose from {', '.join(names)}")
    return a


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, write the page; exit code 0 when every figure was found."""
    a = options(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    effort = Effort.quick(a.runs) if a.quick else Effort(runs=a.runs)
    chosen = [m for m in MEASUREMENTS if not a.only or m.name in a.only]
    venv = Path(os.environ.get("PENSTOCK_BENCH_PEER", "/nonexistent"))
    with_peer = not a.no_peer and (venv / "bin" / "prefect").exists()
    machine = Machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        postgres = stack.enter_context(Postgres())
        targets: list[Target] = [Sqlite(folder), OnPostgres(folder, postgres)]
        peer = None
        if with_peer:
            system = stack.enter_context(SystemPostgres()) if SystemPostgres.programs() else None
            targets.append(Peer(folder, system, venv))
            peer = f"{_version(venv)} on {_database(system)}"
        targets = [t for t in targets if not a.target or t.name in a.target]
        for target in targets:
            stack.callback(target.stop)
            target.start()
            with target.turn():
                target.prepare()
        measured = [x for m in chosen for x in measure(m, targets, effort, machine)]
        facts = machine.facts(postgres.version, peer)
    text = table(measured, effort)
    print(f"\n{text}")
    if a.write and (a.only or a.target or a.quick):
        print(f"\n{PAGE.name} is left as it is: it shows whole runs only")
    elif a.write:
        write_page(PAGE, text, facts, "make bench")
        print(f"\nwritten: {PAGE}")
    if a.json:
        a.json.write_bytes(orjson.dumps(as_json(measured, effort, facts)))
    return 1 if any(m.missing for m in measured) else 0


def measure(
    measurement: Measurement, targets: Sequence[Target], effort: Effort, machine: Machine
) -> list[Measured]:
    """The rows of a measurement: the targets take turns, as often as it is repeated."""
    found = {row.key: Measured(row) for row in measurement.rows}
    with ExitStack() as stack:
        samples: dict[Target, Sample] = {}
        for target in targets:
            if target.name in measurement.targets:
                with _noting(found, target), target.turn():
                    samples[target] = stack.enter_context(measurement.session(target, effort))
        for repetition in range(getattr(effort, measurement.repeated)):
            for target, sample in samples.items():
                if repetition >= _most(measurement, target):
                    continue
                machine.probe()
                with _noting(found, target), target.turn():
                    for key, value in sample().items():
                        found[key].values.setdefault(target.name, []).append(value)
    for row in found.values():
        figures = ", ".join(f"{t.name} {row.figure(t.name)}" for t in targets)
        print(f"{row.row.key:>12}  {figures} {row.row.unit}", flush=True)
    return list(found.values())


def _most(measurement: Measurement, target: Target) -> float:
    peer = target.name == "peer"
    return PEER_REPETITIONS.get(measurement.name, float("inf")) if peer else float("inf")


@contextmanager
def _noting(found: dict[str, Measured], target: Target) -> Iterator[None]:
    """A target that cannot be measured leaves a reason, and the others go on."""
    try:
        yield
    except EXPECTED as e:
        reason = str(e) or type(e).__name__
        print(f"    {target.name}: not measured: {reason}", file=sys.stderr, flush=True)
        for row in found.values():
            row.missing[target.name] = reason


def _database(postgres: Postgres | None) -> str:
    return f"PostgreSQL {postgres.version}, its defaults" if postgres else "SQLite"


def _version(venv: Path) -> str:
    script = "import importlib.metadata as m; print(m.version('prefect'))"
    command = [str(venv / "bin" / "python"), "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
