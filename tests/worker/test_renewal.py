"""Renewals go on, whatever happens to one of them."""

import logging
import threading
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from penstock.sdk.errors import ApiError, Unavailable
from penstock.worker.contact import ServerContact
from penstock.worker.renewal import every, renew_attempts


class Renewals:
    """A client that refuses the first attempt."""

    def __init__(self, error: ApiError) -> None:
        self.error = error
        self.asked: list[UUID] = []

    def renew_attempt(self, attempt_id: UUID) -> dict[str, Any]:
        self.asked.append(attempt_id)
        if len(self.asked) == 1:
            raise self.error
        return {"state_type": "RUNNING"}


@pytest.mark.parametrize(
    ("error", "renewed"),
    [(ApiError("odd", 500), 3), (Unavailable("no answer"), 1), (Unavailable("later", 503), 1)],
)
def test_a_renewal_refused_for_one_run_loses_no_other(error: ApiError, renewed: int) -> None:
    client = Renewals(error)
    executions = [SimpleNamespace(attempt_id=uuid4(), flow_run_id=uuid4()) for _ in range(3)]
    slots: Any = SimpleNamespace(executions=lambda: executions)
    renew_attempts(client, ServerContact(), slots)  # type: ignore[arg-type]
    assert len(client.asked) == renewed


def test_an_odd_error_does_not_end_the_renewals(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, turns = threading.Event(), threading.Semaphore(0)

    def fail() -> None:
        turns.release()
        raise ValueError("odd")

    monkeypatch.setattr(logging.getLogger("penstock.worker"), "propagate", True)
    every(0.01, fail, stop, "renewal")
    assert all(turns.acquire(timeout=5) for _ in range(3))
    stop.set()
    assert "renewal failed" in caplog.text
