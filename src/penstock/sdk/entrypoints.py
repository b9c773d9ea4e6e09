"""Finds a flow by its entrypoint `folder/file.py:function`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.sdk.errors import EntrypointError
from penstock.sdk.flows import Flow


def load_flow(entrypoint: str, path: str | Path | None = None) -> Flow[Any, Any]:
    """Imports the file and gives its flow; `path` is the folder a relative file is looked up in.

    The file's folder and `path` are importable from the flow's code. Raises EntrypointError when
    there is no such file or flow; what the file itself raises passes through.
    """
    file_name, _, attribute = entrypoint.rpartition(":")
    if not file_name or not attribute:
        raise EntrypointError(f"'{entrypoint}' is no entrypoint: write file.py:function")
    folder = Path(path).absolute() if path else Path.cwd()
    file = folder / file_name
    if not file.is_file():
        raise EntrypointError(f"there is no file {file}")
    found: Any = import_file(file, folder)
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, Flow):
        raise EntrypointError(f"{file} has no flow '{attribute}': is it decorated with @flow?")
    return found


def import_file(file: Path, folder: Path) -> ModuleType:
    """The module of an absolute file; its folder and `folder` become importable from it."""
    for parent in (str(folder), str(file.parent)):
        if parent not in sys.path:
            sys.path.insert(0, parent)
    # registered under a name of its own, so that pickling and type hints find the module
    name = f"{file.stem}_{hashlib.blake2b(str(file).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise EntrypointError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
