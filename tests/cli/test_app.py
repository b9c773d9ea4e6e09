"""The root command: help, misuse, and what it may load."""

import subprocess
import sys

import pytest

from penstock.cli.app import COMMANDS, run_command
from tests.cli.conftest import Shell


@pytest.fixture
def lone_shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose server nobody runs."""
    return Shell("http://127.0.0.1:9/api", monkeypatch)


def test_penstock_alone_prints_help(lone_shell: Shell) -> None:
    answer = lone_shell()
    assert answer.code == 0
    assert all(name in answer.out for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(lone_shell: Shell, name: str) -> None:
    answer = lone_shell(name, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: penstock {name}")


@pytest.mark.parametrize(("typed", "meant"), [("flwo-run", "flow-run"), ("deploi", "deploy")])
def test_an_unknown_command_suggests_the_nearest(lone_shell: Shell, typed: str, meant: str) -> None:
    answer = lone_shell(typed)
    assert answer.code == 2
    assert f"'{meant}'" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    "args",
    [
        ["run"],
        ["run", "a/b", "--name", "c"],
        ["run", "a/b", "--project", "p"],
        ["run", "a/b", "--start-in", "1m", "--start-at", "2030-01-01"],
        ["run", "a/b", "--start-in", "99999999d"],
        ["run", "a/b", "--quiet", "--output", "json"],
        ["run", "a/b", "--param", "n"],
        ["run", "--path", __file__, "--start-in", "1m"],
        ["flow-run", "ls", "--limit", "0"],
        ["flow", "inspect"],
        ["worker", "start"],
        ["work-pool", "update", "p"],
        ["flow", "inspect", "caf\udce9"],
        ["run", "a/b", "--param", "n=99999999999999999999"],
    ],
)
def test_misuse_is_one_line_and_exit_code_2(lone_shell: Shell, args: list[str]) -> None:
    answer = lone_shell(*args)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert len(answer.err.splitlines()) == 1


def test_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys; from penstock.cli.app import run_command; run_command(['--help']); "
        "print([m for m in ('pydantic', 'httpx', 'rich', 'penstock.sdk') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_version_flag_shows_the_clients_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from penstock import __version__

    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_refusal_is_told_without_the_request_that_met_it(shell: Shell) -> None:
    refused = shell("work-pool", "create", "prefect-pool")
    assert refused.code == 1
    assert refused.err.startswith("Error: Names that start with 'prefect' are reserved")
