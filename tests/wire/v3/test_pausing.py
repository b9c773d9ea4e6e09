"""Pauses that block in the client's process: resumed from elsewhere, with input, or too late."""

import pytest

from tests.wire.v3.client import PrefectClient, Rest

pytestmark = pytest.mark.timeout(120)


def test_a_paused_flow_goes_on_when_it_is_resumed(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("pausing.py")
    ids = facts["ids"]
    assert facts["waits"] == ["before", "after"]
    assert facts["number"] == 45
    assert facts["approval"] == [True, "the form"]
    missing, wrong = facts["refused"]
    assert "approved" in missing
    assert "approved" in wrong
    assert "never resumed" in facts["gave up"]
    assert facts["received"] == ["hello", "again"]
    assert facts["resumed an ended run"] == "NotPausedError"
    pause = ["Paused", "Running"]
    assert rest.state_names(ids["waits"]) == ["Pending", "Running", *pause, "Completed"]
    assert rest.state_names(ids["wants_a_number"]) == [
        *("Pending", "Running", *pause, *pause, "Completed")
    ]
    assert rest.state_names(ids["wants_an_approval"]) == [
        *("Pending", "Running", *pause, "Completed")
    ]
    assert rest.run(ids["gives_up"])["state_type"] == "FAILED"
    pause_keys = rest.run(ids["wants_a_number"])["empirical_policy"]["pause_keys"]
    assert pause_keys == ["1", "2"]
    body = {"prefix": "paused-", "limit": 10}
    kept = rest.post(f"/flow_runs/{ids['wants_an_approval']}/input/filter", body)
    assert "May I?" in [row["value"].strip('"') for row in kept]
