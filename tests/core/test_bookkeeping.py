"""What each written state changes in its run."""

from dataclasses import replace

import pytest

from penstock.core.bookkeeping import NEW_RUN, book_state
from penstock.core.ids import new_id
from penstock.core.states import StateType, make_state
from tests.core.runs import NOW, C, F, G, P, R, S, U, ago, ahead, run_in, state

# s: start_time is set, e: end_time is set, k: end_time is kept, c: the run is counted,
# t: time in RUNNING is added, n: next_scheduled_start_time is set
TABLE = """
            SCHEDULED PENDING RUNNING COMPLETED FAILED CANCELLED CRASHED PAUSED CANCELLING
none        n         -       sc      se        se     se        se      -      -
SCHEDULED   n         -       sc      se        se     se        se      -      -
PENDING     n         -       sc      se        se     se        se      -      -
RUNNING     nt        t       ct      et        et     et        et      t      t
COMPLETED   n         -       c       k         k      k         k       -      -
FAILED      n         -       c       k         k      k         k       -      -
CANCELLED   n         -       c       k         k      k         k       -      -
CRASHED     n         -       c       k         k      k         k       -      -
PAUSED      n         -       c       e         e      e         e       -      -
CANCELLING  n         -       c       e         e      e         e       -      -
"""
HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(row[0], to, cell) for row in ROWS for to, cell in zip(HEAD, row[1:], strict=True)]


@pytest.mark.parametrize(("source", "target", "expected"), CELLS)
def test_every_pair_of_states_is_booked(source: str, target: str, expected: str) -> None:
    run = run_in(None if source == "none" else StateType[source])
    proposed = state(StateType[target])

    written, changes = book_state(run, proposed)

    assert written == proposed
    assert changes == {
        "state_id": proposed.id,
        "state_type": target,
        "state_name": target.capitalize(),
        "state_timestamp": NOW,
        "start_time": NOW if "s" in expected else run.start_time,
        "end_time": NOW if "e" in expected else run.end_time if "k" in expected else None,
        "total_run_time": 10.0 if "t" in expected else 0.0,
        "expected_start_time": NOW,
        "next_scheduled_start_time": NOW if "n" in expected else None,
        "run_count": run.run_count + ("c" in expected),
        "resuming": False,
    }


def test_a_state_never_stands_before_or_at_its_predecessor() -> None:
    run = run_in(make_state(P, ahead(seconds=5)))
    written, changes = book_state(run, state(R))
    assert written.timestamp == changes["state_timestamp"] == ahead(seconds=5, microseconds=1)
    assert changes["start_time"] == written.timestamp


def test_a_run_is_expected_when_it_is_first_scheduled() -> None:
    _, changes = book_state(NEW_RUN, state(S, scheduled_time=ahead(hours=1)))
    assert changes["expected_start_time"] == ahead(hours=1)
    assert changes["next_scheduled_start_time"] == ahead(hours=1)

    run = run_in(F, expected_start_time=ago(hours=1))
    _, changes = book_state(run, state(S, scheduled_time=ahead(hours=1)))
    assert changes["expected_start_time"] == ago(hours=1)


def test_a_resumed_run_is_not_counted_again() -> None:
    _, changes = book_state(run_in(P, resuming=True, run_count=1), state(R))
    assert (changes["run_count"], changes["resuming"]) == (1, False)
    _, changes = book_state(run_in(U, resuming=True), state(S))
    assert changes["resuming"] is True
    _, changes = book_state(run_in(G, resuming=True), state(C))
    assert changes["resuming"] is False


def test_time_in_running_adds_up() -> None:
    _, changes = book_state(run_in(R, total_run_time=2.5), state(C))
    assert changes["total_run_time"] == 12.5


def test_states_of_a_subflow_run_name_the_task_run_of_the_parent() -> None:
    parent = new_id(NOW)
    proposed = state(S)
    written, _ = book_state(replace(NEW_RUN, parent_task_run_id=parent), proposed)
    assert written.details == {"scheduled_time": NOW, "task_run_id": parent}
    assert "task_run_id" not in proposed.details
