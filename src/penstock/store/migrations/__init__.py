"""Bringing a database's schema up to date. One Alembic history serves both engines.

Revisions expand first and contract in a later release, so that servers of two neighbouring
releases can work on one database.
"""

import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.core.errors import Unavailable
from penstock.store.engines import sqlite

logger = logging.getLogger(__name__)

#: the newest revision; a test holds it against the folder `versions`
HEAD = "0002"
#: the PostgreSQL lock under which a schema is made or changed
LOCK = 7364656


class SchemaIsOld(RuntimeError):
    """The database needs `penstock server database upgrade`, which is never done unasked."""


def upgrade_sqlite(path: Path) -> None:
    """Create or upgrade the schema of a SQLite file; an upgrade is preceded by a backup.

    Raises Unavailable when the file cannot be used.
    """
    try:
        _upgrade_sqlite(path)
    except sqlite3.Error as e:
        raise Unavailable(f"{path} cannot be used: {e}") from e


def _upgrade_sqlite(path: Path) -> None:
    connection = sqlite.connect(path)
    try:
        current = _sqlite_revision(connection)
        if current == HEAD:
            return
        if current is not None:
            now = datetime.now(UTC)  # noqa: TID251 - it only names the backup
            backup = path.with_name(f"{path.name}.before-{HEAD}-{now:%Y%m%d%H%M%S}")
            logger.info("Backing %s up to %s before its schema changes", path, backup)
            connection.execute("VACUUM INTO ?", (str(backup),))
    finally:
        connection.close()
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://", creator=lambda: sqlite.connect(path))
    if current is None:
        _create_tables(engine)
    else:
        migrate(engine)


def _create_tables(engine: Any) -> None:
    """Make an empty database's tables in one go; a test holds them against the migrations'.

    Alembic takes half a second to load, which a first start need not spend.
    """
    from penstock.store.flow_run_counts import create_counting
    from penstock.store.segment_tables import create_partitioned_tables
    from penstock.store.tables import metadata

    postgres = engine.dialect.name == "postgresql"

    with engine.begin() as connection:
        if postgres:
            # Servers that start together on an empty database take turns.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            made = connection.exec_driver_sql("SELECT to_regclass('alembic_version')")
            if made.scalar() is not None:
                return
        metadata.create_all(connection)
        create_counting(connection.exec_driver_sql, postgres=postgres)
        if postgres:
            create_partitioned_tables(connection.exec_driver_sql)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")
    engine.dispose()


def upgrade_postgres(url: str, *, explicitly: bool = False) -> None:
    """Create the schema in an empty PostgreSQL database; upgrade it only when asked explicitly.

    Raises SchemaIsOld when it was not asked, Unavailable when the database cannot be reached.
    """
    import psycopg

    from penstock.store.engines import postgres

    try:
        _upgrade_postgres(url, explicitly)
    except psycopg.Error as e:
        raise postgres.translate(e) from e


def _upgrade_postgres(url: str, explicitly: bool) -> None:
    import psycopg
    from sqlalchemy import create_engine

    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        row = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        current = None
        if row and row[0]:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            current = found[0] if found else None
    if current == HEAD:
        return
    if current is not None and not explicitly:
        raise SchemaIsOld(
            f"The database's schema is at revision {current}, this release needs {HEAD}; "
            f"run `penstock server database upgrade`"
        )
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    if current is None:
        _create_tables(engine)
    else:
        migrate(engine)


def _sqlite_revision(connection: sqlite3.Connection) -> str | None:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
    if known.fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def migrate(engine: Any) -> None:
    """Apply every revision that the database lacks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
