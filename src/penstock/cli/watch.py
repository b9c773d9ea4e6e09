"""Following a flow run to its end: lines as they come, and where things stand on a terminal."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from penstock.cli.history import FlowRunHistory, Line
from penstock.cli.invocation import Invocation
from penstock.cli.output import STATE_COLOURS, show_seconds, to_wire

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from penstock.cli.live import LiveSignal
    from penstock.contract.rest.flow_runs import FlowRunResponse

#: A run in one of these types of state has ended.
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})
LEVEL_NAMES = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
LEVEL_COLOURS = {"DEBUG": "bright_black", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
#: A server that is being restarted is waited for.
PATIENCE_SECONDS = 60.0
#: After this long without a worker taking the run, say so.
UNTAKEN_AFTER = timedelta(seconds=10)
#: Prefect's client sends its log lines up to two seconds after they were written.
LATE_LINES_SECONDS = 4.0

Read = TypeVar("Read")
Writer = Callable[[Line], None]


def line_writer(invocation: Invocation, output: str) -> Writer:
    """Writes log lines to stdout: text, or a JSON object per line."""
    if output == "json":
        return lambda line: _write_json_line(invocation, line)
    if invocation.out.isatty():
        return _terminal_writer(_console(invocation))
    return lambda line: _write_plain_line(invocation, line)


def show_line(line: Line) -> str:
    """`12:00:01.123 INFO     message`; times are local."""
    return f"{_clock(line.timestamp)} {_label(line):<8} {_text(line)}"


def follow_flow_run(invocation: Invocation, history: FlowRunHistory, write: Writer) -> int:
    """Give `write` all that is new until the run has ended; 130 after Ctrl-C, else 0."""
    try:
        _follow(invocation, history, write, lambda run: None)
    except KeyboardInterrupt:
        return _leave(invocation, history)
    return 0


def watch_flow_run(
    invocation: Invocation, history: FlowRunHistory, quiet: bool, output: str
) -> int:
    """Show the run's states and logs to its end: 0 if it completed, 1 if not, 130 after Ctrl-C.

    As JSON the finished run is the only thing on stdout, and the lines go to stderr.
    """
    try:
        with _shown(invocation, history, quiet, output) as (write, note):
            run = _follow(invocation, history, write, note)
    except KeyboardInterrupt:
        return _leave(invocation, history)
    if output == "json":
        invocation.say(json.dumps(to_wire(run), indent=2, ensure_ascii=False))
    elif not quiet:
        took = show_seconds(run.total_run_time)
        invocation.say(f"Flow run {run.name!r} ended {run.state_name} after {took}.")
    return 0 if _type_of(run) == "COMPLETED" else 1


def _leave(invocation: Invocation, history: FlowRunHistory) -> int:
    invocation.remark(
        "Stopped watching; the run goes on. "
        f"Cancel it with: penstock flow-run cancel {history.flow_run_id}"
    )
    return 130


def _follow(
    invocation: Invocation,
    history: FlowRunHistory,
    write: Writer,
    note: Callable[[FlowRunResponse], None],
) -> FlowRunResponse:
    from penstock.cli.live import LiveSignal
    from penstock.sdk.settings import read_settings

    settings = read_settings()
    token = settings.api_auth_string or settings.api_key
    said_untaken = False
    with LiveSignal(history.client.api_url, token, history.flow_run_id) as signal:
        while True:
            # The run first: all lines of our engine were stored before its final state was.
            run = _patiently(invocation, history.read_flow_run)
            if _type_of(run) in FINAL:
                _finish(invocation, history, run, write, signal)
                return run
            for line in _patiently(invocation, partial(history.read_news, run)):
                write(line)
            note(run)
            if not said_untaken and _is_untaken(run, invocation.now()):
                said_untaken = True
                _say_untaken(invocation, run)
            signal.wait()


def _finish(
    invocation: Invocation,
    history: FlowRunHistory,
    run: FlowRunResponse,
    write: Writer,
    signal: LiveSignal,
) -> None:
    """Write what is left; the lines of a run that Prefect's client executes are waited for."""
    deadline = time.monotonic() + _seconds_of_late_lines(invocation, run)
    while True:
        for line in _patiently(invocation, history.read_all):
            write(line)
        left = deadline - time.monotonic()
        if history.is_complete or left <= 0:
            return
        signal.wait(left)


def _seconds_of_late_lines(invocation: Invocation, run: FlowRunResponse) -> float:
    # Prefect's engine gives its runs a version; ours does only for flows called here and now.
    if run.flow_version is None or run.end_time is None or not run.run_count:
        return 0.0
    ago = (invocation.now() - run.end_time).total_seconds()
    return min(LATE_LINES_SECONDS, LATE_LINES_SECONDS - ago)


def _patiently(invocation: Invocation, read: Callable[[], Read]) -> Read:
    """What `read` gives; a server that is away is tried again for a minute."""
    from penstock.sdk.errors import Unavailable

    deadline = time.monotonic() + PATIENCE_SECONDS
    remarked = False
    while True:
        try:
            return read()
        except Unavailable:
            if time.monotonic() >= deadline:
                raise
        if not remarked:
            invocation.remark("The server does not answer; trying again.")
            remarked = True
        time.sleep(1.0)


def _is_untaken(run: FlowRunResponse, now: datetime) -> bool:
    due = run.next_scheduled_start_time
    return _type_of(run) == "SCHEDULED" and due is not None and now - due > UNTAKEN_AFTER


def _say_untaken(invocation: Invocation, run: FlowRunResponse) -> None:
    if run.work_pool_name:
        remedy = f"is a worker running? penstock worker start --pool {run.work_pool_name}"
    else:
        remedy = "its deployment has no work pool"
    invocation.remark(f"No worker has taken the run yet; {remedy}")


@contextlib.contextmanager
def _shown(
    invocation: Invocation, history: FlowRunHistory, quiet: bool, output: str
) -> Iterator[tuple[Writer, Callable[[FlowRunResponse], None]]]:
    if quiet:
        yield (lambda line: None), (lambda run: None)
    elif output == "json":
        yield (lambda line: invocation.remark(show_line(line))), (lambda run: None)
    elif not invocation.out.isatty():
        yield (lambda line: _write_plain_line(invocation, line)), (lambda run: None)
    else:
        console = _console(invocation)
        with console.status("Waiting for the run to start") as status:
            yield _terminal_writer(console), lambda run: status.update(_Standing(history, run))


class _Standing:
    """Where the run stands, for the terminal's last line; the clock ticks between two reads."""

    def __init__(self, history: FlowRunHistory, run: FlowRunResponse) -> None:
        self._words = [str(run.state_name)]
        self._run = run
        self._read_at = time.monotonic()
        of_run = {"flow_runs": {"id": {"any_": [str(run.id)]}}}
        if total := history.client.count_task_runs(**of_run):
            ended = {"state": {"type": {"any_": sorted(FINAL)}}}
            done = history.client.count_task_runs(**of_run, task_runs=ended)
            self._words.append(f"{done} of {total} tasks ended")

    def __rich__(self) -> Text:
        from rich.text import Text

        words = self._words
        if _type_of(self._run) == "RUNNING":
            seconds = self._run.estimated_run_time + time.monotonic() - self._read_at
            words = [*words, show_seconds(seconds)]
        return Text(" · ".join(words))


def _console(invocation: Invocation) -> Console:
    from rich.console import Console

    return Console(file=invocation.out, highlight=False)


def _terminal_writer(console: Console) -> Writer:
    from rich.text import Text

    def write(line: Line) -> None:
        label = _label(line)
        colour = LEVEL_COLOURS.get(label, "")
        if line.is_state:
            colour = STATE_COLOURS.get(str(line.item.type.value), "")
        clock = (f"{_clock(line.timestamp)} ", "bright_black")
        console.print(Text.assemble(clock, (f"{label:<8} {_text(line)}", colour)), soft_wrap=True)

    return write


def _write_plain_line(invocation: Invocation, line: Line) -> None:
    invocation.out.write(f"{show_line(line)}\n")
    invocation.out.flush()


def _write_json_line(invocation: Invocation, line: Line) -> None:
    invocation.out.write(f"{json.dumps(to_wire(line.item), ensure_ascii=False)}\n")
    invocation.out.flush()


def _clock(timestamp: datetime) -> str:
    return timestamp.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _label(line: Line) -> str:
    if line.is_state:
        return "STATE"
    level = int(line.item.level)
    return LEVEL_NAMES.get(level, str(level))


def _text(line: Line) -> str:
    if not line.is_state:
        return str(line.item.message)
    state = line.item
    return f"{state.name}: {state.message}" if state.message else str(state.name)


def _type_of(run: FlowRunResponse) -> str | None:
    return run.state_type.value if run.state_type else None
