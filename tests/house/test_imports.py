"""Who may import whom: what is cheap to load, and that the rules of `make lint` do bite."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: (a module, an import that must not stand in it, the contract that says so)
FORBIDDEN = [
    ("store/flow_runs.py", "import penstock.api.errors", "Server house"),
    ("api/errors.py", "import penstock.services.loop", "Server house"),
    ("sdk/states.py", "import penstock.worker.job", "Client house"),
    ("worker/job.py", "import penstock.store.tables", "over the wire only"),
    ("operations/__init__.py", "import penstock.sdk.states", "never imports the client house"),
    ("core/states.py", "import time", "no I/O and no clock"),
    ("api/errors.py", "import sqlalchemy", "Only the store speaks to a database"),
    ("services/loop.py", "import pickle", "never unpickles"),
    ("api/rest/flow_runs.py", "import penstock.api.rest.server", "Resource files of one floor"),
    ("core/states.py", "import penstock.core.flow_run_rules", "No circles between neighbours"),
]


@pytest.mark.parametrize("module", ["penstock", "penstock.cli"])
def test_loading_it_loads_neither_pydantic_nor_httpx(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'pydantic', 'httpx'}} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == ""


@pytest.fixture(scope="module")
def broken_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which every rule of imports is broken once."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "src" / "penstock", folder / "penstock")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module, forbidden, _ in FORBIDDEN:
        with (folder / "penstock" / module).open("a") as source:
            source.write(f"\n{forbidden}\n")
    return folder


@pytest.fixture(scope="module")
def verdict(broken_house: Path) -> str:
    """What the import linter says of it."""
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [linter, "--no-cache", "--no-logo"],
        cwd=broken_house,
        env={"PYTHONPATH": str(broken_house), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("module", "forbidden", "contract"), FORBIDDEN)
def test_an_import_against_the_floors_is_found(
    verdict: str, module: str, forbidden: str, contract: str
) -> None:
    broken = [line for line in verdict.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), f"{forbidden} in {module}\n{verdict}"
