"""Encryption of what users want kept secret: the key, and its fingerprint in the database.

The key is PENSTOCK_SECRET_KEY (several, separated by commas: the first encrypts, all decrypt), else
a file that is made when a secret is first stored. The database holds fingerprints of the keys that
its secrets were encrypted with, so that a server with another key says so instead of failing.
"""

import base64
import binascii
import hashlib
import logging
import os
import secrets as randomness
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import Misconfigured
from penstock.store.stored_settings import insert_setting, select_setting, upsert_setting
from penstock.store.transaction import Transaction

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

logger = logging.getLogger(__name__)

_FINGERPRINTS = "secret_key_fingerprints"
_MEMORY = "secrets"
KEY_BYTES = 32


def parse_secret_keys(text: str) -> list[str]:
    """The keys in the text of PENSTOCK_SECRET_KEY; ValueError, which repeats none, for a bad one.

    Each is 32 bytes as URL-safe base64.
    """
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for place, key in enumerate(keys, 1):
        try:
            decoded = base64.urlsafe_b64decode(key.encode())
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) != KEY_BYTES:
            raise ValueError(
                f"PENSTOCK_SECRET_KEY: key {place} of {len(keys)} is not {KEY_BYTES} bytes as "
                "URL-safe base64; make one with: openssl rand -base64 32 | tr '+/' '-_'"
            )
    return keys


def fingerprint(key: str) -> str:
    """What tells keys apart without telling anything of them."""
    raw = base64.urlsafe_b64decode(key.encode())
    return hashlib.sha256(b"penstock secret key" + raw).hexdigest()[:16]


class Secrets:
    """Encrypts and decrypts the secrets of one database, with keys that are read on first use."""

    def __init__(self, given: str | None, file: Path) -> None:
        self._given = given
        self._file = file
        self._keys: list[str] | None = None
        self._cipher: MultiFernet | None = None
        #: the database is known to hold the fingerprint of the key that encrypts
        self._claimed = False

    def encrypt(self, tx: Transaction, text: str) -> str:
        """The text, encrypted. `claim` must follow in the unit that stores it.

        Raises Misconfigured when the database's secrets were encrypted with other keys.
        """
        return self._opened(tx).encrypt(text.encode()).decode()

    def decrypt(self, tx: Transaction, token: str) -> str:
        """The text that was encrypted. Raises Misconfigured when this server lacks the key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._opened(tx).decrypt(token).decode()
        except InvalidToken:
            raise Misconfigured(
                "A stored secret cannot be decrypted: it was damaged, or encrypted with a key that "
                "is not in PENSTOCK_SECRET_KEY any more"
            ) from None

    def reencrypt(self, tx: Transaction, token: str) -> str:
        """The same secret, encrypted with the first key."""
        return self.encrypt(tx, self.decrypt(tx, token))

    def claim(self, tx: Transaction) -> None:
        """Note in the database whose secrets it holds. Raises Misconfigured as `encrypt` does."""
        if self._claimed:
            return
        keys = self._keys_for(tx)
        mine = fingerprint(keys[0])
        insert_setting(tx, _FINGERPRINTS, [mine])
        known = select_setting(tx, _FINGERPRINTS)
        self._check(known, keys)
        if mine not in known:
            upsert_setting(tx, _FINGERPRINTS, [*known, mine])

    def claim_alone(self, tx: Transaction) -> None:
        """Note that every secret is encrypted with the first key now."""
        upsert_setting(tx, _FINGERPRINTS, [fingerprint(self._keys_for(tx)[0])])

    def problem(self, tx: Transaction) -> str | None:
        """What keeps this server from reading the stored secrets; None when nothing does."""
        known = select_setting(tx, _FINGERPRINTS)
        if known is None:
            return None
        try:
            self._check(known, self._read_keys() or [])
        except Misconfigured as e:
            return e.message
        return None

    def _opened(self, tx: Transaction) -> "MultiFernet":
        keys = self._keys_for(tx)
        if not self._claimed:
            known = select_setting(tx, _FINGERPRINTS) or []
            self._check(known, keys)
            # What a unit has just claimed may yet be rolled back: only this look can tell.
            self._claimed = fingerprint(keys[0]) in known
        if self._cipher is None:
            # Some megabytes and milliseconds, for servers that hold secrets only.
            from cryptography.fernet import Fernet, MultiFernet

            self._cipher = MultiFernet([Fernet(key) for key in keys])
        return self._cipher

    def _keys_for(self, tx: Transaction) -> list[str]:
        """The keys, checked; made when there are none, and no secrets either."""
        if self._keys is None:
            known = select_setting(tx, _FINGERPRINTS)
            keys = self._read_keys()
            if keys is None:
                keys = [self._made_key()] if known is None else []
            self._check(known or [], keys)
            self._keys = keys
        return self._keys

    def _check(self, known: list[str], keys: list[str]) -> None:
        if set(known) - {fingerprint(key) for key in keys}:
            raise Misconfigured(
                "The secrets in this database were encrypted with a key that this server does not "
                "have: set PENSTOCK_SECRET_KEY to the key of the server that stored them (by "
                "default it is in the file secret.key in that server's PENSTOCK_HOME)"
            )

    def _read_keys(self) -> list[str] | None:
        if self._given:
            return parse_secret_keys(self._given)
        try:
            return parse_secret_keys(self._file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, OSError):
            raise Misconfigured(f"{self._file} holds no key that can be read") from None

    def _made_key(self) -> str:
        """A new key, in a file that only its owner reads; another process may make it first."""
        key = base64.urlsafe_b64encode(randomness.token_bytes(KEY_BYTES)).decode()
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}.{randomness.token_hex(4)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(key + "\n")
                out.flush()
                os.fsync(out.fileno())
            try:
                os.link(draft, self._file)  # unlike a rename this never replaces a file
            except FileExistsError:
                key = parse_secret_keys(self._file.read_text())[0]
            finally:
                draft.unlink()
        except OSError as e:
            raise Misconfigured(
                f"Cannot make a key for secrets in {self._file} ({e.strerror}): "
                "set PENSTOCK_SECRET_KEY, or make the folder of PENSTOCK_HOME writable"
            ) from None
        logger.warning("Made the key that secrets are encrypted with: keep %s safe", self._file)
        return key


def keep_secrets(memory: dict[object, object], secrets: Secrets) -> None:
    """Let what runs on a database with this memory use these secrets."""
    memory[_MEMORY] = secrets


def secrets_of(tx: Transaction) -> Secrets:
    """What encrypts and decrypts the secrets of the transaction's database."""
    found: Secrets = tx.memory[_MEMORY]
    return found
