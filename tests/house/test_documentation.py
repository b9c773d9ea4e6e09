"""README and docs do what they say: their blocks of code are executed, their drawings compared.

Blocks of one page run in order, in one folder and with one home. An HTML comment before a block
may say `background` (left running to the end of the page) or `not run: REASON`. A Python block
with a title is a file.
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from scripts.draw_states import PAGE, drawn
from tests.provision import READY, clean_environment

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]+?) -->\n)?^```(?P<language>python|bash)"
    r'(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@dataclass(frozen=True)
class Block:
    """One block of code of a page."""

    language: str
    title: str | None
    note: str
    code: str


def blocks_of(page: str) -> list[Block]:
    """The blocks that are to be executed, in order."""
    found = BLOCK.finditer((ROOT / page).read_text())
    blocks = [Block(m["language"], m["title"], m["note"] or "", m["code"]) for m in found]
    return [block for block in blocks if not block.note.startswith("not run: ")]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    env = clean_environment(tmp_path / "home")
    port = str(free_port())
    env["PENSTOCK_SERVER_PORT"] = port
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with ExitStack() as processes:
        processes.enter_context(no_server_left(tmp_path / "home"))
        for block in blocks_of(page):
            code = block.code.replace("4200", port)
            if block.title:
                (tmp_path / block.title).write_text(code)
            elif block.note == "background":
                processes.enter_context(background(code, tmp_path, env))
            else:
                run(block.language, code, tmp_path, env)


def run(language: str, code: str, folder: Path, env: dict[str, str]) -> None:
    """Run a block to its end; it must succeed."""
    command = [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
    done = subprocess.run(
        [*command, code],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@contextmanager
def background(code: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """A command that goes on; a server is waited for. Told to end, it ends well."""
    with (folder / "background.log").open("ab") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {code}"],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    ready: Queue[str] = Queue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if READY.search(line):
                    ready.put(line)
        ready.put("")

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        if "server start" in code:
            assert ready.get(timeout=30), (folder / "background.log").read_text()
        yield
        assert process.poll() is None, (folder / "background.log").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (folder / "background.log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(10)


@contextmanager
def no_server_left(home: Path) -> Iterator[None]:
    """Ends the local server that a flow of the page has started, if it has."""
    try:
        yield
    finally:
        with suppress(FileNotFoundError), (home / "penstock.db.lock").open("rb+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(json.load(lock)["pid"], signal.SIGTERM)
                fcntl.flock(lock, fcntl.LOCK_EX)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    targets = LINK.findall((ROOT / page).read_text())
    missing = [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()]
    assert missing == []


def test_the_drawing_of_the_states_is_what_the_rules_say() -> None:
    page = PAGE.read_text()
    assert page == drawn(page), "run .venv/bin/python -m scripts.draw_states"
