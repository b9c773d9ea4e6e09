"""httpx without its command line, which drags in click and rich: a third of its import time."""

import sys
from typing import Any, cast

# None makes the import of that module fail, which httpx takes for "not installed"
_modules = cast(dict[str, Any], sys.modules)
_spared = "httpx" not in _modules and "httpx._main" not in _modules
if _spared:
    _modules["httpx._main"] = None
try:
    import httpx
finally:
    if _spared:
        del _modules["httpx._main"]

__all__ = ["httpx"]
