"""`penstock server key` and `penstock server database`: an operator's work beside a server."""

from pathlib import Path

import httpx

from tests.cli.conftest import Shell
from tests.conftest import sqlite_url
from tests.provision import ServerProcess


def test_a_key_made_while_the_server_runs_opens_it(tmp_path: Path, shell: Shell) -> None:
    url = sqlite_url(tmp_path)
    options = ("--no-services", "--auth-string", "admin:s3cret")
    with ServerProcess(url, tmp_path / "home", *options) as server:
        made = shell("server", "key", "create", "ci", "--database", url, "--output", "json")
        assert made.code == 0, made.err
        key = made.json["key"]
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/version", headers=headers).status_code == 200
        assert httpx.get(f"{server.url}/version").status_code == 401
        again = shell("server", "key", "create", "ci", "--database", url)
        assert (again.code, again.out) == (1, "")
        assert "There is a key named 'ci' already" in again.err
        held = shell("server", "database", "upgrade", "--database", url)
        assert held.code == 1
        assert "is held by" in held.err


def test_a_database_is_upgraded_where_no_server_has_it(tmp_path: Path, shell: Shell) -> None:
    done = shell("server", "database", "upgrade", "--database", sqlite_url(tmp_path))
    assert (done.code, done.out.startswith("The database is at revision")) == (0, True)
    wrong = shell("server", "database", "upgrade", "--database", "nonsense")
    assert (wrong.code, len(wrong.err.splitlines())) == (1, 1)
