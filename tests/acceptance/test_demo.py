"""`make demo` keeps its promise: real work, a retry, a result, and nothing left behind."""

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.provision import clean_environment

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def processes_naming(text: str) -> list[str]:
    """The command lines of running processes that name this."""
    lines = (
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )
    return [line for line in lines if text in line]


@pytest.mark.timeout(90)
def test_the_demo_runs_a_flow_on_real_data_and_leaves_nothing_behind(tmp_path: Path) -> None:
    env = clean_environment(tmp_path) | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, DEMO],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Run \S+: COMPLETED$", done.stdout, re.MULTILINE)
    # The crash of 2008, as the data have it.
    assert re.search(r"2008-10\s+23\s+968\.75\s+-16\.", done.stdout), done.stdout
    assert "retried: write_table" in done.stdout
    assert re.search(r"to the flow's first line: \d+ ms", done.stdout)
    assert processes_naming(str(tmp_path)) == []
    assert list(tmp_path.glob("penstock-demo-*")) == []
