"""Make counts of what has been written since the last time, so that counting stays quick."""

from datetime import datetime

from penstock.store.database import Database
from penstock.store.flow_run_counts import fold_changes

EVERY_SECONDS = 10


async def fold_run_counts(db: Database, _now: datetime) -> int:
    """Fold the changes on PostgreSQL; SQLite keeps its counts itself. How many counts changed."""
    return await db.write(fold_changes, one_statement=True) if db.is_postgres else 0
