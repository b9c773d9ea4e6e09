"""The server's settings: command line first, then the environment, then defaults."""

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path

from penstock.services.retention import Keep, keep_of
from penstock.store.secrets import parse_secret_keys

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class OpenBind(ValueError):
    """Refusing to serve other machines without authentication."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a server is started with."""

    #: address and port to listen at; port 0 takes a free one
    host: str = "127.0.0.1"
    port: int = 4200
    #: `sqlite:///FILE` or `postgresql://…`
    database_url: str = ""
    #: `user:password` for Basic authentication; None switches authentication off
    auth_string: str | None = None
    #: listen beyond loopback without authentication
    allow_open_bind: bool = False
    #: changes need a token that `GET /csrf-token` gave, or the header of our own clients
    csrf_protection: bool = False
    #: run the background loops in this process
    services: bool = True
    #: end after that many seconds without requests and websockets; None: never
    idle_exit_seconds: float | None = None
    log_level: str = "warning"
    #: what secrets are encrypted with: keys of 32 bytes as URL-safe base64, separated by commas
    secret_key: str | None = field(default=None, repr=False)
    #: the key is in this file when no other is given; None: secret.key in the home folder
    secret_key_file: Path | None = None
    #: how long things are kept
    keep: Keep = Keep()

    def check(self) -> None:
        """Raise OpenBind when the door would stand open, ValueError for a bad secret."""
        if self.auth_string is not None and ":" not in self.auth_string:
            raise ValueError("--auth-string must be USER:PASSWORD, with a colon between them")
        if self.secret_key is not None:
            parse_secret_keys(self.secret_key)
        if self.host not in LOOPBACK_HOSTS and not self.auth_string and not self.allow_open_bind:
            raise OpenBind(
                f"Refusing to listen at {self.host} without authentication: anyone who reaches it "
                "could run code on your workers. Set --auth-string USER:PASSWORD, or say "
                "--allow-open-bind if another gate stands in front"
            )


def home() -> Path:
    """The folder of the local database: PENSTOCK_HOME, else ~/.penstock."""
    return Path(os.environ.get("PENSTOCK_HOME") or "~/.penstock").expanduser()


def default_database_url() -> str:
    """PENSTOCK_DATABASE_URL, else the SQLite file in the home folder."""
    return os.environ.get("PENSTOCK_DATABASE_URL") or f"sqlite:///{home() / 'penstock.db'}"


def _is_on(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def parser() -> argparse.ArgumentParser:
    """The options of `penstock server start`, with their defaults from the environment."""
    env = os.environ.get
    p = argparse.ArgumentParser(prog="penstock server start", description="Start a server.")
    p.add_argument("--host", default=env("PENSTOCK_SERVER_HOST", "127.0.0.1"))
    p.add_argument("--port", type=int, default=int(env("PENSTOCK_SERVER_PORT", "4200")))
    p.add_argument("--database", metavar="URL", default=default_database_url())
    p.add_argument("--auth-string", default=env("PENSTOCK_SERVER_AUTH_STRING") or None)
    p.add_argument("--allow-open-bind", action="store_true")
    p.add_argument(
        "--csrf-protection",
        action="store_true",
        default=_is_on(env("PENSTOCK_SERVER_CSRF_PROTECTION", "")),
    )
    p.add_argument("--no-services", action="store_true")
    p.add_argument("--idle-exit-seconds", type=float)
    p.add_argument("--log-level", default=env("PENSTOCK_LOGGING_LEVEL", "warning").lower())
    return p


def parse(argv: list[str]) -> Settings:
    """Settings from a command line; exits with a message on a bad one."""
    a = parser().parse_args(argv)
    try:
        keep = keep_of(os.environ)
    except ValueError as e:
        parser().error(str(e))
    return Settings(
        host=a.host,
        port=a.port,
        database_url=a.database,
        auth_string=a.auth_string or None,
        allow_open_bind=a.allow_open_bind,
        csrf_protection=a.csrf_protection,
        services=not a.no_services,
        idle_exit_seconds=a.idle_exit_seconds,
        log_level=a.log_level,
        secret_key=os.environ.get("PENSTOCK_SECRET_KEY") or None,
        keep=keep,
    )
