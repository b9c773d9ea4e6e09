"""The databases that the suite makes for itself."""

from pathlib import Path

import psycopg

from tests.provision import PostgresServer


def test_each_test_gets_an_empty_database_of_each_kind(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        assert not Path(database_url.removeprefix("sqlite:///")).exists()
        return
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM flow_run").fetchone()
    assert row == (0,)


def test_an_empty_postgresql_database_has_no_table(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database(empty=True)
    with psycopg.connect(postgres_server.url(name)) as connection:
        row = connection.execute("SELECT to_regclass('flow_run')").fetchone()
    assert row == (None,)
    postgres_server.drop_database(name)
