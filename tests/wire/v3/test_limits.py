"""Concurrency and rate limits of the client hold at our server, and their slots come back."""

import pytest

from tests.wire.v3.client import PrefectClient, Rest

pytestmark = pytest.mark.timeout(120)


def test_global_rate_and_tag_limits_hold(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("limits.py")
    assert facts["leases"] == {
        "slots": [1, 0, 0],
        "timed out": True,
        "unknown lease": 410,
        "released lease": 410,
    }
    assert facts["at most"] == [2, 4]
    assert facts["async"] == {"inside": 2}
    # Two slots that come back two in a second: the fourth call cannot be let in before 0.5 s.
    assert facts["rates"] >= 0.5
    assert facts["unknown"] == "ConcurrencySlotAcquisitionError"
    assert facts["tagged"] == [1, 3]
    assert facts["tag slots"] == []
    assert facts["names"] == ["wire-rate", "wire-renamed", "wire-two"]
    assert facts["inactive"] == "passes"
    for name in ("global_limit", "tag_limit"):
        assert rest.run(facts["ids"][name])["state_type"] == "COMPLETED"
    assert rest.get("/v2/concurrency_limits/wire-two")["active_slots"] == 0
    assert rest.get("/concurrency_limits/tag/wire-tag")["id"] == facts["tag id"]
