"""The schema: what Alembic makes is what `tables.py` says, and nothing is upgraded unasked."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from penstock.store import migrations
from penstock.store.engines import sqlite
from penstock.store.migrations import (
    HEAD,
    SchemaIsOld,
    migrate,
    upgrade_postgres,
    upgrade_sqlite,
)
from penstock.store.segment_tables import is_made_apart
from penstock.store.tables import metadata
from tests.cli.conftest import PENSTOCK
from tests.provision import PostgresServer, clean_environment


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a PostgreSQL database with nothing in it."""
    name = postgres_server.create_database(empty=True)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


def differences(engine: Engine) -> list[object]:
    """What Alembic would change to make the database what `tables.py` says."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, parents: not is_made_apart(name, kind),
            },
        )
        found = compare_metadata(context, metadata)
    engine.dispose()
    return list(found)


def dump(path: Path) -> list[str]:
    """Everything in a SQLite file, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def age(url: str) -> None:
    """Have a PostgreSQL database believe that its schema is of an older release."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_migrated_sqlite_file_is_what_the_tables_say(tmp_path: Path) -> None:
    path = tmp_path / "penstock.db"
    engine = create_engine("sqlite://", creator=lambda: sqlite.connect(path))
    migrate(engine)
    assert differences(engine) == []


def test_a_new_sqlite_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    new, migrated = tmp_path / "new.db", tmp_path / "migrated.db"
    upgrade_sqlite(new)
    migrate(create_engine("sqlite://", creator=lambda: sqlite.connect(migrated)))

    def said(path: Path) -> set[frozenset[str]]:
        # Neither the order of constraints nor the brackets around a default mean anything.
        plain = ("".join(s.split()).replace('"', "").replace("('')", "''") for s in dump(path))
        return {frozenset(s.replace(")", "").rstrip(";").split(",")) for s in plain}

    assert said(new) == said(migrated)


@pytest.mark.parametrize("how", ["migrated", "new"])
def test_a_postgres_database_is_what_the_tables_say(empty_postgres_url: str, how: str) -> None:
    if how == "new":
        upgrade_postgres(empty_postgres_url)
    else:
        migrate(
            create_engine(
                "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_postgres_url)
            )
        )
    connect = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_postgres_url)
    )
    assert differences(connect) == []


def test_a_second_upgrade_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "penstock.db"
    upgrade_sqlite(path)
    before = dump(path)
    upgrade_sqlite(path)
    assert dump(path) == before
    assert [p.name for p in tmp_path.iterdir() if "before" in p.name] == []


def test_a_sqlite_file_is_backed_up_before_its_schema_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "penstock.db"
    with closing(sqlite.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0000')")
        connection.execute("CREATE TABLE precious (words TEXT)")
        connection.execute("INSERT INTO precious VALUES ('kept')")
    upgraded: list[bool] = []

    def upgrade(engine: Engine) -> None:
        upgraded.append(bool(list(tmp_path.glob("penstock.db.before-*"))))

    monkeypatch.setattr(migrations, "migrate", upgrade)
    upgrade_sqlite(path)
    assert upgraded == [True]  # the backup stood there already
    [backup] = tmp_path.glob("penstock.db.before-*")
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT words FROM precious").fetchone() == ("kept",)


def test_an_old_postgres_schema_is_upgraded_only_when_asked(empty_postgres_url: str) -> None:
    upgrade_postgres(empty_postgres_url)
    age(empty_postgres_url)
    with pytest.raises(SchemaIsOld, match="`penstock server database upgrade`"):
        upgrade_postgres(empty_postgres_url)


def test_a_server_on_an_old_postgres_schema_refuses_to_start_and_names_the_remedy(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    upgrade_postgres(empty_postgres_url)
    age(empty_postgres_url)
    command = [*PENSTOCK, "server", "start", "--port", "0", "--database", empty_postgres_url]
    done = subprocess.run(
        command, env=clean_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "revision 0000" in done.stderr
    assert "`penstock server database upgrade`" in done.stderr


def test_the_command_makes_the_schema_where_it_is_told_to(empty_postgres_url: str) -> None:
    command = [*PENSTOCK, "server", "database", "upgrade", "--database", empty_postgres_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(empty_postgres_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo", "write sqlite:////absolute/path.db or postgresql://"),
        ("mysql://a/b", "Penstock does not speak mysql"),
        ("sqlite:////proc/nope/penstock.db", "/proc/nope"),
        ("postgresql://nobody@127.0.0.1:1/x", "The database cannot be used now"),
    ],
)
def test_an_unusable_database_is_one_line_not_a_traceback(
    url: str, words: str, tmp_path: Path
) -> None:
    command = [*PENSTOCK, "server", "start", "--port", "0", "--database", url]
    done = subprocess.run(
        command, env=clean_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
