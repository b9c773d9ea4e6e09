"""What is asked of an engine: a read, or a unit of work with the half that prepares it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.store.transaction import Transaction

#: how often a unit is prepared again when what it was prepared from has changed
PREPARE_ATTEMPTS = 3


@dataclass(slots=True)
class Read:
    """A function of a read-only transaction, and who waits for its result."""

    function: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"


@dataclass(slots=True)
class Write:
    """A unit of work, and who waits for it.

    `prepare` is None or the reading half, whose result the unit gets as its second argument.
    `one_statement` says that the unit changes the database in a single statement, which then needs
    no transaction around it on PostgreSQL.
    """

    unit: Callable[..., Any]
    future: "asyncio.Future[Any]"
    prepare: Callable[[Transaction], Any] | None = None
    one_statement: bool = False
    prepared: Any = None
    attempts: int = 0
