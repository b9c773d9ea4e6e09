"""What runs print, shown line by line."""

import os

import pytest

from penstock.worker.output import OutputPump


def test_lines_of_two_runs_are_told_apart_and_the_last_needs_no_end(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    pump = OutputPump()
    otter, otter_shown = pump.open("otter")
    crane, crane_shown = pump.open("crane")
    os.write(otter, b"one\nhalf")
    os.write(crane, "zwölf\n".encode())
    os.write(otter, b" and half\nlast")
    os.close(otter)
    os.close(crane)
    assert otter_shown.wait(5)
    assert crane_shown.wait(5)
    lines = capfdbinary.readouterr().out.decode().splitlines()
    otters = [line for line in lines if line.startswith("otter")]
    assert otters == ["otter | one", "otter | half and half", "otter | last"]
    assert "crane | zwölf" in lines
