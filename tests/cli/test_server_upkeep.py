"""`penstock server key` and `penstock server database`: an operator's work beside a server."""

import base64
import secrets
from pathlib import Path

import httpx
import pytest

from penstock.sdk.client import Client
from penstock.sdk.errors import ApiError
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


def test_a_deleted_key_is_refused_at_once_and_no_list_shows_a_key(
    tmp_path: Path, shell: Shell
) -> None:
    url = sqlite_url(tmp_path)
    options = ("--no-services", "--auth-string", "admin:s3cret")
    with ServerProcess(url, tmp_path / "home", *options) as server:
        keys = {
            name: shell("server", "key", "create", name, "--database", url, "-o", "json").json[
                "key"
            ]
            for name in ("laptop", "ci")
        }

        def status(name: str) -> int:
            headers = {"Authorization": f"Bearer {keys[name]}"}
            return httpx.get(f"{server.url}/version", headers=headers).status_code

        assert status("ci") == status("laptop") == 200
        listed = shell("server", "key", "ls", "--database", url, "-o", "json")
        assert [set(row) for row in listed.json] == [{"name", "created"}] * 2
        assert [row["name"] for row in listed.json] == ["ci", "laptop"]
        assert "ci" in shell("server", "key", "ls", "--database", url).out
        assert shell("server", "key", "delete", "ci", "--database", url).code == 0
        assert (status("ci"), status("laptop")) == (401, 200)
        again = shell("server", "key", "delete", "ci", "--database", url)
        assert (again.code, again.out) == (1, "")
        assert "There is no key named 'ci'" in again.err


def test_a_database_is_upgraded_where_no_server_has_it(tmp_path: Path, shell: Shell) -> None:
    done = shell("server", "database", "upgrade", "--database", sqlite_url(tmp_path))
    assert (done.code, done.out.startswith("The database is at revision")) == (0, True)
    wrong = shell("server", "database", "upgrade", "--database", "nonsense")
    assert (wrong.code, len(wrong.err.splitlines())) == (1, 1)


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@pytest.mark.timeout(60)  # three servers, one after the other
def test_the_key_for_secrets_is_changed_in_three_steps(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, home = sqlite_url(tmp_path), tmp_path / "home"
    old, new = new_key(), new_key()

    def served(keys: str) -> ServerProcess:
        return ServerProcess(url, home, "--no-services", env={"PENSTOCK_SECRET_KEY": keys})

    with served(old) as server, Client(server.url) as client:
        kind = client.create_block_type(name="Door", slug="door")
        schema = client.create_block_schema(block_type_id=kind.id)
        data = {"code": "hush-hush"}
        block = client.create_block_document(
            block_type_id=kind.id, block_schema_id=schema.id, name="front", data=data
        )
    with served(new) as server, Client(server.url) as client:
        with pytest.raises(ApiError, match="set PENSTOCK_SECRET_KEY to the key"):
            client.read_block_document(block)
        assert client.count_block_documents() == 1
        log = server.log.read_text()
        assert "Blocks cannot be read or saved" in log
        assert not [key for key in (old, new) if key in log]
    monkeypatch.setenv("PENSTOCK_SECRET_KEY", new)
    refused = shell("server", "database", "reencrypt", "--database", url)
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    monkeypatch.setenv("PENSTOCK_SECRET_KEY", f"{new},{old}")
    done = shell("server", "database", "reencrypt", "--database", url)
    assert done.code == 0, done.err
    assert done.out.startswith("1 blocks are encrypted")
    with served(new) as server, Client(server.url) as client:
        assert client.read_block_document(block).data == data
        assert "hush-hush" not in server.log.read_text()
