"""`python -m tests.wire.differences`: send every sequence to both servers, list what differs."""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import httpx

from tests.wire.differences import sequences
from tests.wire.differences.compare import Found
from tests.wire.differences.contract import served_operations
from tests.wire.differences.expected import Expected, as_text, read_expected
from tests.wire.differences.pair import Answer, Pair
from tests.wire.differences.registry import SEQUENCES
from tests.wire.differences.servers import our_server, peer_server
from tests.wire.differences.sweep import sweep
from tests.wire.v3.client_venv import client_python

INDEX = re.compile(r"\[\d+\]")


@dataclass
class Report:
    """What all sequences showed."""

    expected: list[Expected]
    requests: int = 0
    #: operations that were sent, and whether both servers ever did what was asked
    operations: dict[str, bool] = field(default_factory=dict)
    #: (operation, field) -> the differences that nobody expected, with their sequence and request
    left: dict[tuple[str, str], list[tuple[str, Answer, Found]]] = field(default_factory=dict)
    met: dict[Expected, int] = field(default_factory=dict)

    def add(self, name: str, answer: Answer) -> None:
        """Count one answer and sort its differences."""
        self.requests += 1
        done = all(status < 300 for status in answer.statuses)
        self.operations[answer.operation] = self.operations.get(answer.operation, False) or done
        for found in answer.differences:
            path = INDEX.sub("[]", found.path)
            for expected in self.expected:
                what = (answer.operation, path, found.theirs, found.ours, answer.request)
                if expected.covers(*what):
                    self.met[expected] = self.met.get(expected, 0) + 1
                    break
            else:
                self.left.setdefault((answer.operation, path), []).append((name, answer, found))

    def lines(self, examples: int) -> Iterator[str]:
        """The differences left, grouped by operation and field."""
        for (operation, path), those in sorted(self.left.items()):
            yield f"{operation}  {path}  ({len(those)} times)"
            seen: set[tuple[str, str, str]] = set()
            for name, answer, found in those:
                request = as_text(answer.request["body"]) if path == "HTTP status" else ""
                key = (as_text(found.theirs), as_text(found.ours), request)
                if key in seen or len(seen) >= examples:
                    continue
                seen.add(key)
                yield f"    theirs {key[0][:300]}"
                yield f"    ours   {key[1][:300]}"
                yield f"    {name}: {as_text(answer.request)[:400]}"
                if path == "HTTP status":
                    yield f"    theirs said {as_text(answer.bodies[0])[:300]}"
                    yield f"    ours said   {as_text(answer.bodies[1])[:300]}"


def main() -> int:
    """Run the chosen sequences; 1 when a difference is left, or an expected one is gone."""
    options = parse()
    report = Report(read_expected())
    chosen = [n for n in SEQUENCES if any(fnmatchcase(n, only) for only in options.only)]
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="differences-")))
        python = options.peer_python or client_python()
        theirs = options.peer_url or stack.enter_context(peer_server(python, home / "theirs"))
        ours = options.our_url or stack.enter_context(our_server(home / "ours"))
        clients = tuple(
            stack.enter_context(httpx.Client(base_url=url, timeout=30)) for url in (theirs, ours)
        )
        pool = stack.enter_context(ThreadPoolExecutor(2))
        for name in chosen:
            started = time.monotonic()
            pair = Pair((clients[0], clients[1]), pool)
            pair.each(sweep)
            SEQUENCES[name](pair)
            for answer in pair.answers:
                report.add(name, answer)
            seconds = time.monotonic() - started
            print(f"{name}: {len(pair.answers)} requests, {seconds:.1f} s", flush=True)
    return tell(report, options, complete=chosen == list(SEQUENCES))


def tell(report: Report, options: argparse.Namespace, *, complete: bool) -> int:
    """Print what was found; the exit code."""
    print()
    for line in report.lines(options.examples):
        print(line)
    served = served_operations()
    missing = sorted(served - report.operations.keys()) if complete else []
    sent = served & report.operations.keys()
    never = sorted(o for o in sent if complete and not report.operations[o])
    gone = [e for e in report.expected if complete and not e.sometimes and e not in report.met]
    for operation in missing:
        print(f"no sequence sends {operation}")
    for operation in never:
        print(f"never done by both servers: {operation}")
    for expected in gone:
        print(f"expected, but not there any more: {expected}")
    left = sum(len(those) for those in report.left.values())
    print(
        f"{len(sent)} of {len(served)} operations compared, "
        f"{report.requests} requests, {sum(report.met.values())} expected differences of "
        f"{len(report.met)} kinds, {left} others in {len(report.left)} places"
    )
    return 1 if report.left or missing or gone else 0


def parse() -> argparse.Namespace:
    """The command line's options."""
    p = argparse.ArgumentParser(prog="python -m tests.wire.differences", description=__doc__)
    p.add_argument(
        "--peer-python",
        type=Path,
        default=os.environ.get("PENSTOCK_PEER_PYTHON") or None,
        help="the interpreter of an environment with the peer (default: the wire suite's)",
    )
    p.add_argument("--peer-url", help="the API of a peer's server that runs already")
    p.add_argument("--our-url", help="the API of a server of ours that runs already")
    p.add_argument("--only", nargs="+", default=["*"], help="names of sequences, with *")
    p.add_argument("--examples", type=int, default=2, help="how many of each difference to show")
    options = p.parse_args()
    if options.peer_python is not None:
        options.peer_python = Path(options.peer_python)
    return options


if __name__ == "__main__":
    assert sequences.__doc__
    sys.exit(main())
