"""The client's settings, read from the environment at each use: nothing is cached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What the SDK, the worker and the CLI know about their surroundings."""

    #: folder of the local database and its lock
    home: Path
    #: root of the API with `/api`, or None for the local server
    api_url: str | None
    #: sent as `Authorization: Bearer`
    api_key: str | None
    #: `user:password`, sent as `Authorization: Basic`; wins over the key
    api_auth_string: str | None
    #: database of the local server
    database_url: str
    #: name of the lowest level that run loggers ship and print
    logging_level: str


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment holds now."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("PENSTOCK_HOME") or "~/.penstock").expanduser().absolute()
    api_url = environ.get("PENSTOCK_API_URL") or None
    return Settings(
        home=home,
        api_url=_api_root(api_url) if api_url else None,
        api_key=environ.get("PENSTOCK_API_KEY") or None,
        api_auth_string=environ.get("PENSTOCK_API_AUTH_STRING") or None,
        database_url=environ.get("PENSTOCK_DATABASE_URL") or f"sqlite:///{home / 'penstock.db'}",
        logging_level=(environ.get("PENSTOCK_LOGGING_LEVEL") or "INFO").upper(),
    )


def _api_root(url: str) -> str:
    """The URL of the API; an address of a server alone stands for its `/api`."""
    scheme, found, rest = url.rstrip("/").rpartition("://")
    root = rest if "/" in rest else f"{rest}/api"
    return f"{scheme if found else 'http'}://{root}"
