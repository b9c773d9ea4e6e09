"""Forget what is older, or takes more room, than it is kept: logs and events by the day, runs and
artifacts a bounded number of rows at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from penstock.operations.retention import prune_flow_run_part
from penstock.operations.streams import Streams
from penstock.services.loop import Loop
from penstock.store.artifacts import delete_oldest_artifacts, sum_artifact_bytes
from penstock.store.database import Database
from penstock.store.run_removal import page_ended_roots, select_tree_to_prune
from penstock.store.segments import (
    EVENTS,
    LOGS,
    SegmentStore,
    forget_old_segments,
    forget_segments_beyond,
)

EVERY_SECONDS = 600
#: runs that are looked at together, and pruned in one pass at most
PAGE, PASS = 100, 20_000
#: artifacts that one unit of work deletes
CHUNK = 100


@dataclass(frozen=True, slots=True)
class Keep:
    """How long, and up to what size, things are kept; None: for ever, of any size."""

    #: flow runs that have ended, with their subflow runs, and all that belongs to them but logs
    runs_days: float | None = None
    artifacts_days: float | None = None
    artifacts_bytes: int | None = None
    #: since they were received; whole days in UTC
    logs_days: int = LOGS.retention_days
    logs_bytes: int | None = None
    events_days: int = EVENTS.retention_days
    events_bytes: int | None = None


def keep_of(environment: Mapping[str, str]) -> Keep:
    """What `PENSTOCK_SERVER_KEEP_…` say. ValueError names one that is no natural number."""
    given: dict[str, int] = {}
    for name in Keep.__dataclass_fields__:
        variable = f"PENSTOCK_SERVER_KEEP_{name.upper()}"
        text = environment.get(variable, "").strip()
        if not text:
            continue
        if not text.isdecimal():
            raise ValueError(f"{variable} must be a whole number of {name.split('_')[1]}: {text!r}")
        given[name] = int(text)
    return Keep(**given)


def retention_loop(streams: Streams, keep: Keep) -> Loop:
    """The loop that drops what is old from this server's streams and database."""

    async def run_once(db: Database, now: datetime) -> int:
        done = await _forget(streams.logs, now, keep.logs_days, keep.logs_bytes)
        done += await _forget(streams.events, now, keep.events_days, keep.events_bytes)
        if keep.runs_days is not None:
            done += await prune_runs(db, now - timedelta(days=keep.runs_days), now)
        if keep.artifacts_days is not None:
            done += await prune_artifacts(db, now - timedelta(days=keep.artifacts_days), now)
        if keep.artifacts_bytes is not None:
            done += await prune_artifacts_beyond(db, keep.artifacts_bytes, now)
        return done

    return Loop("retention", EVERY_SECONDS, run_once)


async def _forget(
    store: SegmentStore, now: datetime, keep_days: int, keep_bytes: int | None
) -> int:
    done = await forget_old_segments(store, now, keep_days=keep_days)
    if keep_bytes is not None:
        done += await forget_segments_beyond(store, now, keep_bytes)
    return done


async def prune_runs(db: Database, before: datetime, now: datetime) -> int:
    """Delete runs that ended before, with their subflow runs; how many roots.

    A run stays as long as a run within it has not ended. Its idempotency key stays used.
    """
    done, after = 0, None
    while done < PASS:
        roots = await db.read(partial(page_ended_roots, before=before, after=after, limit=PAGE))
        for root in roots:
            done += await _prune_tree(db, root.id, now)
        if len(roots) < PAGE:
            return done
        after = (roots[-1].end_time, roots[-1].id)
    return done


async def _prune_tree(db: Database, root: UUID, now: datetime) -> bool:
    tree = await db.read(partial(select_tree_to_prune, root=root))
    for id in tree:  # the innermost first, so that what is left is always a whole tree
        gone: bool | None = False
        while gone is False:
            gone = await db.write(partial(prune_flow_run_part, id=id, now=now))
        if gone is None:  # it runs again
            return False
    return bool(tree)


async def prune_artifacts(db: Database, before: datetime, now: datetime) -> int:
    """Delete artifacts created before; how many."""
    done = 0
    while gone := await db.write(
        partial(delete_oldest_artifacts, before=before, beyond=None, limit=CHUNK, now=now)
    ):
        done += gone
    return done


async def prune_artifacts_beyond(db: Database, keep_bytes: int, now: datetime) -> int:
    """Delete the oldest artifacts until the others' data fit; how many."""
    size = await db.read(sum_artifact_bytes)
    done = 0
    while size > keep_bytes:
        delete = partial(
            delete_oldest_artifacts, before=None, beyond=size - keep_bytes, limit=CHUNK, now=now
        )
        gone = await db.write(delete)
        if not gone:
            break
        done += gone
        size = await db.read(sum_artifact_bytes)
    return done
