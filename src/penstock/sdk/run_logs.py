"""Run loggers: standard logging whose lines also go to the server, with the run they belong to."""

from __future__ import annotations

import builtins
import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from penstock.sdk.context import MissingContext, current_flow_run, current_task_run
from penstock.sdk.settings import read_settings

FLOW_RUN_LOGGER = "penstock.flow_runs"
TASK_RUN_LOGGER = "penstock.task_runs"
MAX_MESSAGE_CHARACTERS = 250_000

#: True in the context of a run with `log_prints`
prints_are_logged: ContextVar[bool] = ContextVar("prints_are_logged", default=False)


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry the ids and names of their run."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Merges the run's fields with the caller's `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """The logger of the task run or flow run around the calling code.

    Raises MissingContext outside of both.
    """
    flow_run = current_flow_run.get()
    task_run = current_task_run.get()
    if flow_run is None:
        raise MissingContext("get_run_logger() only works inside a flow or task run")
    install_handlers()
    extra: dict[str, Any] = {
        "flow_run_id": flow_run.id,
        "flow_run_name": flow_run.name,
        "flow_name": flow_run.flow.name,
    }
    if task_run is None:
        return RunLogger(logging.getLogger(FLOW_RUN_LOGGER), extra)
    extra |= {
        "task_run_id": task_run.id,
        "task_run_name": task_run.name,
        "task_name": task_run.task_name,
    }
    return RunLogger(logging.getLogger(TASK_RUN_LOGGER), extra)


class ServerHandler(logging.Handler):
    """Queues lines with the reporter of the flow run that wrote them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queues one line; lines written outside of a run are none of ours."""
        flow_run = current_flow_run.get()
        if flow_run is None:
            return
        try:
            message = self.format(record)
        except Exception:  # logging's own convention: a bad format string must not end the run
            self.handleError(record)
            return
        task_run = current_task_run.get()
        flow_run.reporter.add_log(
            {
                "name": record.name,
                "level": record.levelno,
                "message": message[:MAX_MESSAGE_CHARACTERS],
                "timestamp": datetime.fromtimestamp(record.created, UTC),
                "flow_run_id": getattr(record, "flow_run_id", flow_run.id),
                "task_run_id": getattr(record, "task_run_id", task_run and task_run.id),
            }
        )


class ConsoleHandler(logging.Handler):
    """Prints lines on stderr, unless the program has set up logging itself."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line."""
        if logging.getLogger().handlers:
            return
        run = getattr(record, "task_run_name", None) or getattr(record, "flow_run_name", "")
        when = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        line = f"{when} | {record.levelname:<7} | {run} - {self.format(record)}"
        sys.stderr.write(line + "\n")


_handlers: list[logging.Handler] = []


def install_handlers() -> None:
    """Gives the run loggers their level and handlers, once."""
    if _handlers:
        return
    _handlers.extend((ServerHandler(), ConsoleHandler()))
    level = logging.getLevelName(read_settings().logging_level)
    for name in (FLOW_RUN_LOGGER, TASK_RUN_LOGGER):
        logger = logging.getLogger(name)
        logger.setLevel(level if isinstance(level, int) else logging.INFO)
        for handler in _handlers:
            logger.addHandler(handler)


_original_print = builtins.print


def capture_prints() -> None:
    """From now on `print` in runs with `log_prints` writes log lines of level INFO."""
    builtins.print = _print


def _print(*values: Any, sep: str | None = " ", file: Any = None, **options: Any) -> None:
    if not prints_are_logged.get() or file not in (None, sys.stdout, sys.stderr):
        _original_print(*values, sep=sep, file=file, **options)
        return
    text = (" " if sep is None else sep).join(map(str, values))
    get_run_logger().info("%s", text)
