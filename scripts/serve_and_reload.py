"""Serve Penstock and start it again whenever a file under src/ changes. Called by `make dev`."""

import signal
import subprocess
import sys
import time
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src"


def newest_change() -> float:
    """When a source file was last written, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in SOURCES.rglob("*.py"))


def main() -> None:
    """Serve until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        seen = newest_change()
        server = subprocess.Popen([sys.executable, "-m", "penstock.server", *sys.argv[1:]])
        try:
            while newest_change() == seen:
                # A server that ended, on a typing mistake perhaps, is started at the next change.
                time.sleep(0.5)
        except KeyboardInterrupt:
            return
        finally:
            if server.poll() is None:
                server.terminate()
            server.wait(15)


if __name__ == "__main__":
    main()
