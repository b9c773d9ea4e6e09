"""PostgreSQL: threads with a psycopg connection each; constraints and retries settle races."""

import logging
import select
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors as pg_errors

from penstock.core.errors import (
    BadRequest,
    Conflict,
    OutcomeUnknown,
    PenstockServerError,
    Unavailable,
)
from penstock.store.engines.jobs import Read, Write
from penstock.store.statements import POSTGRES
from penstock.store.threads import Completions, ThreadTeam, answer
from penstock.store.transaction import Stale, StatementListener, Transaction

logger = logging.getLogger(__name__)

MAX_QUEUE = 5000
#: how often a unit is run again after a serialization failure, a deadlock or a lost race
ATTEMPTS = 5
_AGAIN = (pg_errors.SerializationFailure, pg_errors.DeadlockDetected, Stale)


def connect(url: str, *, statement_seconds: int = 10) -> psycopg.Connection[Any]:
    """A connection in autocommit mode whose times are UTC and whose statements are bounded."""
    options = f"-c timezone=UTC -c statement_timeout={statement_seconds}s -c lock_timeout=5s"
    return psycopg.connect(
        url,
        autocommit=True,
        prepare_threshold=2,
        options=options,
        connect_timeout=5,
        # a server that vanished without a word is noticed in half a minute, not in fifteen
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=25_000,
        cursor_factory=psycopg.RawCursor,
    )


def hung_up(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has ended this idle connection: it has spoken without being asked."""
    if connection.broken or connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def translate(error: psycopg.Error) -> PenstockServerError:
    """The error a door answers with for an error of the driver."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(f"The database refused the change: {text}")
    if isinstance(error, psycopg.DataError):
        # such as NUL in a text or a number beyond all bounds; to repeat the request helps nobody
        return BadRequest(f"The database cannot hold a value: {text}")
    if isinstance(error, pg_errors.QueryCanceled):
        return Unavailable("The query took too long; narrow its filter", retry_after=1)
    return Unavailable(f"The database cannot be used now: {text}", retry_after=1)


class PostgresEngine:
    """The engine for several servers on one database."""

    dialect = POSTGRES

    def __init__(
        self,
        url: str,
        completions: Completions,
        on_commit: Callable[[list[Any]], None],
        *,
        readers: int = 4,
        writers: int = 5,
        listener: StatementListener | None = None,
    ) -> None:
        self.url = url
        self._completions = completions
        self._on_commit = on_commit
        self._listener = listener
        self.memory: dict[Any, Any] = {}
        self._readers = ThreadTeam("read", readers, self._read, _close)
        self._writers = ThreadTeam("write", writers, self._write, _close)
        # What users wrote (schemas, templates) runs here; the unit follows in the same thread.
        self._preparers = ThreadTeam("prepare", writers, self._write, _close)

    def submit_read(self, job: Read) -> None:
        """Run a read in a reading thread."""
        self._readers.submit(job)

    def submit_write(self, job: Write) -> None:
        """Run a unit of work in a writing thread."""
        team = self._writers if job.prepare is None else self._preparers
        if team.waiting > MAX_QUEUE:
            raise Unavailable("Too many requests wait for the database", retry_after=1)
        team.submit(job)

    def stop(self) -> None:
        """Finish what is queued and close the connections."""
        for team in (self._preparers, self._writers, self._readers):
            team.stop()

    def _read(
        self, connection: psycopg.Connection[Any] | None, job: Read
    ) -> psycopg.Connection[Any] | None:
        result: Any = None
        error: BaseException | None = None
        for fresh in (False, True):  # a connection that broke while idle is replaced once
            try:
                if connection is None:
                    connection = connect(self.url, statement_seconds=5)
                result, error = (
                    job.function(Transaction(connection, POSTGRES, self.memory, self._listener)),
                    None,
                )
                break
            except psycopg.Error as e:
                error = translate(e)
                if connection is None or not connection.broken:
                    break
                connection = None
                if fresh:
                    break
            except BaseException as e:  # whatever it is belongs to the caller who waits
                error = e
                break
        self._completions.call(answer, job.future, result, error)
        return connection

    def _write(
        self, connection: psycopg.Connection[Any] | None, job: Write
    ) -> psycopg.Connection[Any] | None:
        error: BaseException | None = None
        for _ in range(ATTEMPTS):
            tx = None
            try:
                if connection is not None and hung_up(connection):
                    connection.close()
                    connection = None
                if connection is None:
                    connection = connect(self.url)
                tx = Transaction(connection, POSTGRES, self.memory, self._listener)
                result = self._run(connection, tx, job)
            except _AGAIN as e:
                error = Unavailable("What this changes keeps changing; try again", retry_after=1)
                logger.debug("Running a unit again: %r", e)
                continue
            except psycopg.Error as e:
                error = translate(e)
                if tx is not None and connection is not None and connection.broken:
                    # At the first statement of a transaction nothing can have been committed.
                    if tx.statements == 0 and not job.one_statement:
                        continue
                    error = OutcomeUnknown(
                        "The connection to the database broke; look whether the change was made "
                        "before you repeat it"
                    )
            except BaseException as e:  # whatever it is belongs to the caller who waits
                error = e
            else:
                self._completions.call(self._tell, job, result, tx.effects)
                return connection
            break
        self._completions.call(answer, job.future, None, error)
        return connection

    def _run(self, connection: psycopg.Connection[Any], tx: Transaction, job: Write) -> Any:
        prepared = (job.prepare(tx),) if job.prepare is not None else ()
        if job.one_statement:
            return job.unit(tx, *prepared)
        with connection.transaction():
            return job.unit(tx, *prepared)

    def _tell(self, job: Write, result: Any, effects: list[Any]) -> None:
        answer(job.future, result, None)
        if effects:
            self._on_commit(effects)


def _close(connection: psycopg.Connection[Any]) -> None:
    connection.close()
