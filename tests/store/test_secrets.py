"""The key that secrets are encrypted with: where it comes from, and what happens without it."""

import base64
import secrets as randomness
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Misconfigured
from penstock.server.settings import Settings
from penstock.store.database import Database
from penstock.store.secrets import Secrets, fingerprint, parse_secret_keys
from penstock.store.transaction import Transaction

pytestmark = pytest.mark.anyio


def new_key() -> str:
    return base64.urlsafe_b64encode(randomness.token_bytes(32)).decode()


async def store_one(db: Database, secrets: Secrets, text: str = "hush") -> str:
    """A secret as it is stored: encrypted, the key's fingerprint left in the database."""

    def unit(tx: Transaction, token: str) -> str:
        secrets.claim(tx)
        return token

    return await db.prepare_and_write(lambda tx: secrets.encrypt(tx, text), unit)


async def read_one(db: Database, secrets: Secrets, token: str) -> str:
    return await db.read(lambda tx: secrets.decrypt(tx, token))


async def test_a_key_is_made_when_the_first_secret_is_stored(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "home" / "secret.key"
    secrets = Secrets(None, file)
    assert await db.read(secrets.problem) is None
    assert not file.exists()
    token = await store_one(db, secrets)
    assert "hush" not in token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]
    assert await read_one(db, Secrets(None, file), token) == "hush"
    assert await read_one(db, Secrets(file.read_text(), tmp_path / "none"), token) == "hush"


async def test_of_servers_that_make_a_key_at_once_all_have_the_same(
    db: Database, tmp_path: Path
) -> None:
    file = tmp_path / "secret.key"
    many = [Secrets(None, file) for _ in range(8)]

    def encrypt_all(tx: Transaction) -> list[str]:
        def one(secrets: Secrets) -> str:
            return secrets._made_key()  # what races; a transaction belongs to one thread

        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(one, many))

    keys = await db.read(encrypt_all)
    assert len(set(keys)) == 1
    assert file.read_text().strip() == keys[0]


async def test_a_server_with_another_key_says_so(db: Database, tmp_path: Path) -> None:
    token = await store_one(db, Secrets(new_key(), tmp_path / "none"))
    stranger = tmp_path / "stranger.key"
    for other in (Secrets(new_key(), tmp_path / "none"), Secrets(None, stranger)):
        uses: list[Callable[[], Any]] = [
            lambda other=other: read_one(db, other, token),  # type: ignore[misc]  # bound here
            lambda other=other: store_one(db, other),  # type: ignore[misc]  # bound here
        ]
        for use in uses:
            with pytest.raises(Misconfigured, match="set PENSTOCK_SECRET_KEY to the key"):
                await use()
        problem = await db.read(other.problem)
        assert problem is not None
        assert "PENSTOCK_SECRET_KEY" in problem
    assert not stranger.exists()


async def test_of_two_servers_with_keys_of_their_own_only_the_first_stores(
    db: Database, tmp_path: Path
) -> None:
    first, second = (Secrets(None, tmp_path / name) for name in ("a.key", "b.key"))
    prepared = await db.read(lambda tx: second.encrypt(tx, "late"))
    assert prepared
    await store_one(db, first)
    with pytest.raises(Misconfigured):
        await db.write(second.claim)
    with pytest.raises(Misconfigured):
        await store_one(db, second)


async def test_several_keys_decrypt_and_the_first_encrypts(db: Database, tmp_path: Path) -> None:
    none = tmp_path / "none"
    old, new = new_key(), new_key()
    before = await store_one(db, Secrets(old, none))
    both = Secrets(f"{new}, {old}", none)
    after = await store_one(db, both, "new")
    assert [await read_one(db, both, t) for t in (before, after)] == ["hush", "new"]
    with pytest.raises(Misconfigured):
        await read_one(db, Secrets(old, none), after)
    with pytest.raises(Misconfigured):
        await read_one(db, Secrets(new, none), after)


async def test_a_damaged_secret_tells_nothing_of_itself(db: Database, tmp_path: Path) -> None:
    secrets = Secrets(new_key(), tmp_path / "none")
    token = await store_one(db, secrets)
    damaged = token[:-6] + "AAAAA="
    with pytest.raises(Misconfigured) as caught:
        await read_one(db, secrets, damaged)
    assert damaged not in str(caught.value)


async def test_a_key_file_that_holds_none_is_named(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text("nonsense")
    with pytest.raises(Misconfigured, match=r"secret\.key holds no key"):
        await store_one(db, Secrets(None, file))
    folder = tmp_path / "file"
    folder.write_text("")
    with pytest.raises(Misconfigured, match="PENSTOCK_SECRET_KEY"):
        await store_one(db, Secrets(None, folder / "secret.key"))


def test_a_bad_key_is_refused_at_the_start_without_being_shown() -> None:
    good = new_key()
    assert parse_secret_keys(f" {good},, {good} ") == [good, good]
    for bad in ("short", f"{good},{good[:-8]}", "ä" * 44):
        with pytest.raises(ValueError, match="PENSTOCK_SECRET_KEY") as caught:
            Settings(secret_key=bad).check()
        assert bad not in str(caught.value)
    assert good not in repr(Settings(secret_key=good))
    assert fingerprint(good) not in good
