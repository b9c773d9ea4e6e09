"""SQLite: one writing thread that commits in groups, a few reading threads.

The writer takes every unit of work that waits at that moment, runs them in one transaction,
commits once and then answers them all: hundreds of requests share one fsync and none waits for a
timer.
"""

import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from penstock.core.errors import Conflict, PenstockServerError, Unavailable
from penstock.store.engines.jobs import PREPARE_ATTEMPTS, Read, Write
from penstock.store.statements import SQLITE
from penstock.store.threads import Completions, ThreadTeam, answer
from penstock.store.transaction import Stale, StatementListener, Transaction

logger = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_QUEUE = 5000
READ_SECONDS = 5.0
WAL_BYTES = 64 * 2**20
#: changed rows after which the writer checkpoints when nothing waits, and when it must
IDLE_CHECKPOINT = 2_000
MUST_CHECKPOINT = 50_000


class FileIsHeld(RuntimeError):
    """Another server holds the database file; the message names it."""

    def __init__(self, message: str, *, leaves: bool = False) -> None:
        super().__init__(message)
        #: whether the holder ends by itself once nobody uses it
        self.leaves = leaves


class _GroupLost(Exception):
    """A unit failed after it had written, or SQLite has rolled the whole transaction back."""


#: a unit that has run: its job, its result, its error, what it tells
Done = tuple[Write, Any, BaseException | None, list[Any]]


def _read_holder(text: str) -> dict[str, Any]:
    """What a server has written into the lock file about itself."""
    try:
        holder = json.loads(text)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _describe(holder: dict[str, Any]) -> str:
    if "pid" not in holder:
        return "starting"
    return f"process {holder['pid']}, {holder.get('url', 'starting')}"


class FileLock:
    """The lock on `<file>.lock` that makes one server the only one on a database file.

    The lock file says who holds it: JSON with `pid` and, once it serves, `url`.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(os.read(self._descriptor, 4096).decode(errors="replace"))
            os.close(self._descriptor)
            message = (
                f"{database} is held by another server ({_describe(holder)}); "
                "stop it or use another --database"
            )
            raise FileIsHeld(message, leaves=bool(holder.get("leaves"))) from None
        self.tell()

    def tell(self, url: str | None = None, *, leaves: bool = False) -> None:
        """Write the holder's process id, and the address it serves at, into the lock file.

        `leaves`: it ends by itself once nobody uses it.
        """
        holder: dict[str, Any] = {"pid": os.getpid()}
        if url:
            holder |= {"url": url, "leaves": leaves}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Let another server have the file."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def connect(
    path: Path | str, *, readonly: bool = False, synchronous: str = "FULL"
) -> sqlite3.Connection:
    """A connection with Penstock's settings: WAL, synchronous=FULL, no implicit transactions."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5.0
    )
    if readonly:
        connection.execute("PRAGMA query_only=ON")
        return connection
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    connection.execute("PRAGMA cache_size=-32768")
    return connection


def translate(error: sqlite3.Error) -> PenstockServerError:
    """The error a door answers with for an error of the driver."""
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(f"The database refused the change: {text}")
    if "full" in text:
        return Unavailable("The disk is full; free some space and try again", retry_after=5)
    if "interrupted" in text:
        return Unavailable(
            f"The query took longer than {READ_SECONDS:.0f} s; narrow its filter", retry_after=1
        )
    return Unavailable(f"The database cannot be used now: {text}", retry_after=1)


class SqliteEngine:
    """The embedded engine: one file, one writer, several readers."""

    dialect = SQLITE

    def __init__(
        self,
        path: Path,
        completions: Completions,
        on_commit: Callable[[list[Any]], None],
        *,
        readers: int = 3,
        synchronous: str = "FULL",
        listener: StatementListener | None = None,
    ) -> None:
        self.path = path
        self._completions = completions
        self._on_commit = on_commit
        self._listener = listener
        self.memory: dict[Any, Any] = {}
        self._readers = ThreadTeam("read", readers, self._read, _close)
        # What users wrote (schemas, templates) runs here, so that a slow one delays no plain read.
        self._preparers = ThreadTeam("prepare", readers, self._prepare, _close)
        self._writes: SimpleQueue[Write | None] = SimpleQueue()
        self._connection = connect(path, synchronous=synchronous)
        self._checkpointed_at = 0
        self._writer = threading.Thread(target=self._write_loop, name="write", daemon=True)
        self._writer.start()

    def submit_read(self, job: Read) -> None:
        """Run a read in a reading thread."""
        self._readers.submit(job)

    def submit_write(self, job: Write) -> None:
        """Queue a unit of work; prepare it first where it has such a half."""
        if self._writes.qsize() > MAX_QUEUE or self._preparers.waiting > MAX_QUEUE:
            raise Unavailable("Too many requests wait for the database", retry_after=1)
        if job.prepare is None:
            self._writes.put(job)
        else:
            self._preparers.submit(job)

    def stop(self) -> None:
        """Finish what is queued and close the file."""
        self._preparers.stop()
        self._readers.stop()
        self._writes.put(None)
        self._writer.join()

    # ------------------------------------------------------------------ readers
    def _snapshot(
        self, connection: sqlite3.Connection | None, function: Callable[[Transaction], Any]
    ) -> tuple[sqlite3.Connection | None, Any, BaseException | None]:
        deadline = time.monotonic() + READ_SECONDS
        result: Any = None
        error: BaseException | None = None
        try:
            if connection is None:
                connection = connect(self.path, readonly=True)
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 200_000)
            connection.execute("BEGIN")
            try:
                result = function(Transaction(connection, SQLITE, self.memory, self._listener))
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as e:
            error = translate(e)
        except BaseException as e:  # whatever it is belongs to the caller who waits
            error = e
        return connection, result, error

    def _read(self, connection: sqlite3.Connection | None, job: Read) -> sqlite3.Connection | None:
        connection, result, error = self._snapshot(connection, job.function)
        self._completions.call(answer, job.future, result, error)
        return connection

    def _prepare(
        self, connection: sqlite3.Connection | None, job: Write
    ) -> sqlite3.Connection | None:
        assert job.prepare is not None
        connection, job.prepared, error = self._snapshot(connection, job.prepare)
        if error is None:
            self._writes.put(job)
        else:
            self._completions.call(answer, job.future, None, error)
        return connection

    # ------------------------------------------------------------------ the writer
    def _write_loop(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._commit(batch)
            self._checkpoint_when_due()
        self._checkpoint("TRUNCATE")
        self._connection.close()

    def _next_batch(self) -> tuple[list[Write], bool]:
        """Wait for a unit of work; it and all others that wait by then, and whether to stop."""
        batch: list[Write] = []
        job = self._writes.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH:
                break
            try:
                job = self._writes.get_nowait()
            except Empty:
                break
        return batch, job is None

    def _commit(self, batch: list[Write]) -> None:
        """Run the units in one transaction; where that fails as a whole, each in one of its own."""
        try:
            done = self._run_group(batch)
        except (sqlite3.Error, _GroupLost) as e:
            self._roll_back()
            if len(batch) > 1:
                logger.info("Running %d grouped writes singly, because of: %s", len(batch), e)
                for job in batch:
                    self._commit([job])
                return
            cause = e.__cause__ if isinstance(e, _GroupLost) else e
            done = [(batch[0], None, cause, [])]
        self._completions.call(self._tell, done)

    def _run_group(self, batch: list[Write]) -> list[Done]:
        """Run the units one after the other, then commit.

        A unit that fails before it has written anything leaves nothing behind. One that fails
        later loses the group, whose units then run singly: that is rare, and spares every unit
        two statements for a savepoint.
        """
        connection = self._connection
        done: list[Done] = []
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            before = connection.total_changes
            tx = Transaction(connection, SQLITE, self.memory, self._listener)
            try:
                result = job.unit(tx) if job.prepare is None else job.unit(tx, job.prepared)
            except BaseException as e:  # belongs to the caller who waits
                if not connection.in_transaction or connection.total_changes != before:
                    raise _GroupLost(str(e)) from e
                done.append((job, None, e, []))
            else:
                done.append((job, result, None, tx.effects))
        connection.execute("COMMIT")
        return done

    def _roll_back(self) -> None:
        if not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error as e:  # the next BEGIN fails as well, and rolls back again
            logger.error("SQLite cannot roll back: %s", e)

    def _tell(self, done: list[Done]) -> None:
        """In the event loop, after COMMIT: answer the callers, tell the rest of the server."""
        effects: list[Any] = []
        for job, result, error, told in done:
            if isinstance(error, Stale) and job.prepare is not None:
                self._prepare_again(job)
                continue
            if isinstance(error, sqlite3.Error):
                error = translate(error)
            answer(job.future, result, error)
            effects += told
        if effects:
            self._on_commit(effects)

    def _prepare_again(self, job: Write) -> None:
        job.attempts += 1
        if job.attempts >= PREPARE_ATTEMPTS:
            busy = Unavailable("What this needs keeps changing; try again", retry_after=1)
            answer(job.future, None, busy)
        else:
            self._preparers.submit(job)

    def _checkpoint_when_due(self) -> None:
        changes = self._connection.total_changes - self._checkpointed_at
        if changes > MUST_CHECKPOINT or (changes > IDLE_CHECKPOINT and self._writes.empty()):
            self._checkpoint("PASSIVE")
            self._checkpointed_at = self._connection.total_changes

    def _checkpoint(self, how: str) -> None:
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({how})")
        except sqlite3.Error as e:
            # What is committed stands in the log beside the file; a full disk ends no writer.
            logger.warning("The write-ahead log of %s stays for now: %s", self.path, e)


def _close(connection: sqlite3.Connection) -> None:
    connection.close()
