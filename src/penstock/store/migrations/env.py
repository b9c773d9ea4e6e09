"""What Alembic runs: the revisions, on the connection that `_upgrade` hands over."""

from alembic import context

from penstock.store.migrations import LOCK
from penstock.store.segment_tables import is_made_apart
from penstock.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    include_name=lambda name, kind, parents: not is_made_apart(name, kind),
)
if connection.dialect.name == "postgresql":
    # Servers that start together on an empty database take turns.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
with context.begin_transaction():
    context.run_migrations()
