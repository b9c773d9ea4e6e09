"""The documentation site builds without a warning, and its reference misses nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import penstock
from penstock.sdk import calls
from penstock.sdk.client import Client

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built afresh; `strict` makes every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    env = os.environ | quiet | {"PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def headings(page: Path) -> set[str]:
    """What a page of the reference describes: the last part of each name."""
    found = re.findall(r'<h2 id="penstock\.([\w.]+)"', page.read_text())
    return {name.rpartition(".")[2] for name in found}


@pytest.mark.timeout(90)
def test_every_operation_of_the_client_is_described(site: Path) -> None:
    operations = {name for name in dir(Client) if hasattr(calls, name) and name[0] != "_"}
    assert "create_flow_run" in operations
    assert operations - headings(site / "reference" / "client" / "index.html") == set()


@pytest.mark.timeout(90)
def test_every_public_name_is_described(site: Path) -> None:
    pages = (site / "reference").glob("*/index.html")
    described = set().union(*(headings(page) for page in pages))
    assert set(penstock.__all__) - described == {"AsyncClient", "__version__"}


@pytest.mark.timeout(90)
def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text()
        )
        assert fetched == [], page
