"""Flows in the user's own files and modules."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from penstock.cli.invocation import CommandError, fail

if TYPE_CHECKING:
    from penstock.sdk.flows import Flow


def load_entrypoint(entrypoint: str) -> Flow[Any, Any]:
    """The flow at `file.py:function`; an error in the file is told in one line."""
    from penstock.sdk.entrypoints import load_flow

    with _import_told_in_one_line(entrypoint.rpartition(":")[0]):
        return load_flow(entrypoint)


def find_flow_in(path: Path | None, module: str | None, name: str | None) -> Flow[Any, Any]:
    """The flow of a file or module: the only one, or the one with this name."""
    place = str(path or module)
    with _import_told_in_one_line(place):
        loaded = _load(path, module)
    defined = flows = _flows_of(loaded)
    names = ", ".join(sorted(flow.name for flow in defined.values()))
    if not defined:
        fail(f"There is no flow in {place}", "decorate a function with @flow")
    if name is not None:
        flows = {key: flow for key, flow in defined.items() if name in (key, flow.name)}
    if not flows:
        fail(f"There is no flow {name!r} in {place}", f"it has: {names}")
    if len(flows) > 1:
        fail(f"{place} has several flows: {names}", "choose one with --name")
    return next(iter(flows.values()))


def _load(path: Path | None, module: str | None) -> ModuleType:
    if path is not None:
        from penstock.sdk.entrypoints import import_file

        return import_file(path.absolute(), Path.cwd())
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(module or "")


def _flows_of(module: ModuleType) -> dict[str, Flow[Any, Any]]:
    """The flows that the module defines by their variables; imported ones only if there are none.

    One flow under two names counts once.
    """
    from penstock.sdk.flows import Flow

    found = {
        id(value): (key, value) for key, value in vars(module).items() if isinstance(value, Flow)
    }
    own = {k: v for k, v in found.items() if v[1].function.__module__ == module.__name__}
    return dict((own or found).values())


@contextlib.contextmanager
def _import_told_in_one_line(place: str) -> Iterator[None]:
    from penstock.sdk.errors import PenstockError

    try:
        yield
    except (PenstockError, CommandError):
        raise
    except Exception as error:
        # The user's code may raise anything; where and what is all that helps.
        frames = traceback.extract_tb(error.__traceback__)
        own = [at for at in frames if not at.filename.startswith("<frozen importlib")]
        where = f" ({own[-1].filename}, line {own[-1].lineno})"
        if "importlib" in own[-1].filename or own[-1].filename == __file__:
            where = ""  # nothing of the user's has run
        what = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        fail(f"{place} cannot be imported: {what}{where}", "fix it, or install what it needs")
