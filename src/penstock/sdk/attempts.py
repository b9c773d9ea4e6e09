"""Attempts: this process says every ten seconds that it still executes its flow runs."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.sdk import calls
from penstock.sdk.errors import ApiError, AttemptLost, NotFound

if TYPE_CHECKING:
    from penstock.sdk.client import Client

logger = logging.getLogger("penstock.attempts")

RENEW_SECONDS = 10.0


class Attempt:
    """One execution of a flow run by this process."""

    def __init__(self, client: Client, interrupt: Callable[[str], None]) -> None:
        self.id = str(uuid.uuid4())
        self._client = client
        self._interrupt = interrupt

    def renew(self) -> bool:
        """Renews the lease; False when there is nothing left to renew."""
        try:
            answer = self._client.do(calls.renew_attempt(self.id))
        except NotFound:  # a server without attempts
            return False
        except AttemptLost:
            self._interrupt("LOST")
            return False
        except ApiError as error:
            logger.warning("%s", error)
            return True
        if answer.get("state_type") == "CANCELLING":
            self._interrupt("CANCELLING")
            return False
        return True


class Renewer:
    """The thread that renews the attempts of this process."""

    def __init__(self, interval_seconds: float = RENEW_SECONDS) -> None:
        self.interval_seconds = interval_seconds
        self._attempts: dict[str, Attempt] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, attempt: Attempt) -> None:
        """Renews this attempt until it is removed."""
        with self._changed:
            self._attempts[attempt.id] = attempt
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="penstock-renewer", daemon=True
                )
                self._thread.start()

    def remove(self, attempt: Attempt) -> None:
        """Stops renewing; a second call does nothing."""
        with self._changed:
            self._attempts.pop(attempt.id, None)

    def stop(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, self.interval_seconds)
                if self._stopped:
                    return
                attempts = list(self._attempts.values())
            for attempt in attempts:
                if not attempt.renew():
                    self.remove(attempt)


renewer = Renewer()


def _forget() -> None:
    """A forked child owns none of its parent's attempts."""
    renewer.__init__(renewer.interval_seconds)  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget)
