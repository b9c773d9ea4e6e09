"""The judge's virtual environment: the locked `prefect` client, apart from Penstock's own."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
FOLDER = ROOT / ".wire" / "v3-venv"


def client_python() -> Path:
    """The environment's interpreter; made when it is missing or the constraints have changed.

    Processes that ask at once wait for the one that makes it (a minute).
    """
    FOLDER.parent.mkdir(exist_ok=True)
    python = FOLDER / "bin" / "python"
    complete = FOLDER / ".complete"
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            _make(python)
            complete.write_text(wanted)
    return python


def _make(python: Path) -> None:
    _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "-q")
    _run(*pip, "install", "-r", str(CONSTRAINTS))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    print(client_python())
