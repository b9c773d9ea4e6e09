"""CPU time and memory of a tree of processes, read from /proc (Linux only)."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def process_tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat_fields(int(folder.name))):
            children[int(fields[1])].append(int(folder.name))
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system seconds of the tree, children that ended included."""
    stats = [_stat_fields(pid) for pid in process_tree(root)]
    return sum(int(x) for fields in stats if fields for x in fields[11:15]) / TICKS_PER_SECOND


def resident_mb(root: int) -> float:
    """Resident memory of the tree in MiB; what processes share counts in each of them."""
    return sum(kb for pid in process_tree(root) for kb in _resident_kb(pid)) / 1024


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; empty once the process has gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _resident_kb(pid: int) -> Iterator[int]:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return
    yield from (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
