"""Units of work over many rows: bounded, and one row that makes trouble costs no other."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from penstock.core.errors import OutcomeUnknown, Unavailable
from penstock.store.database import Database
from penstock.store.statements import Row

logger = logging.getLogger(__name__)


async def write_in_chunks(
    db: Database, unit: Callable[..., Any], rows: Sequence[Row], size: int
) -> None:
    """Run `unit(tx, rows=…)` for so many of the rows at a time.

    Where that fails for what stands in the rows, it runs for each alone, and those that cannot be
    done are logged by their `id`. Raises Unavailable and OutcomeUnknown: the next pass tries again.
    """
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        try:
            await db.write(partial(unit, rows=chunk))
        except (Unavailable, OutcomeUnknown):
            raise
        except Exception:  # else the others would wait for ever
            if len(chunk) == 1:
                logger.exception("Nothing could be done for the run %s", chunk[0].id)
            else:
                await write_in_chunks(db, unit, chunk, 1)
