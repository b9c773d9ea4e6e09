"""Completion in shells: the script, and what it is answered."""

import os
import shutil
import subprocess

import pytest

from tests.cli.conftest import PENSTOCK, Shell


def completed(words: str, position: int) -> list[str]:
    """What bash is offered for the word at that position."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(position)}
    answer = subprocess.run(
        PENSTOCK,
        env=os.environ | asked | {"_PENSTOCK_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return [line.partition(",")[2] for line in answer.stdout.splitlines()]


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: Shell, shell_name: str) -> None:
    answer = shell("completion", shell_name)
    assert answer.code == 0
    assert "_PENSTOCK_COMPLETE" in answer.out


def test_the_script_is_read_by_bash(shell: Shell) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = shell("completion", "bash").out
    checked = subprocess.run([bash, "-n"], input=script, text=True, timeout=20, check=False)
    assert checked.returncode == 0


def test_commands_subcommands_options_and_choices_are_completed() -> None:
    assert {"flow-run", "flow"} <= set(completed("penstock fl", 1))
    assert completed("penstock flow-run can", 2) == ["cancel"]
    assert completed("penstock run --exe", 2) == ["--execute"]
    assert completed("penstock completion z", 2) == ["zsh"]


def test_the_file_of_a_flow_is_completed_by_the_shell() -> None:
    asked = {"COMP_WORDS": "penstock deploy fl", "COMP_CWORD": "2"}
    answer = subprocess.run(
        PENSTOCK,
        env=os.environ | asked | {"_PENSTOCK_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert answer.stdout.strip() == "file,fl"


def test_another_shell_is_called_wrongly(shell: Shell) -> None:
    assert shell("completion", "tcsh").code == 2
