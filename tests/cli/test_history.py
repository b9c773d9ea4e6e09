"""Each line once: whatever the order in which lines reach the server."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from penstock.cli.history import FlowRunHistory
from penstock.sdk.client import Client

START = datetime(2030, 1, 1, tzinfo=UTC)


class StoredLogs:
    """Answers `read_logs` as the contract says: a page in time order, `after_` excluded."""

    def __init__(self) -> None:
        self.logs: list[SimpleNamespace] = []
        self.calls = 0

    def add(self, seconds: float) -> None:
        at = START + timedelta(seconds=seconds)
        self.logs.append(SimpleNamespace(message="", id=uuid.uuid4(), timestamp=at))

    def read_logs(self, logs: dict[str, Any], sort: str, limit: int, offset: int) -> list[Any]:
        assert sort == "TIMESTAMP_ASC"
        self.calls += 1
        after = logs.get("timestamp", {}).get("after_")
        since = datetime.fromisoformat(after) if after else datetime.min.replace(tzinfo=UTC)
        found = sorted((log for log in self.logs if log.timestamp > since), key=_order)
        return found[offset : offset + limit]


def _order(log: Any) -> tuple[datetime, uuid.UUID]:
    return log.timestamp, log.id


def watching(stored: StoredLogs) -> FlowRunHistory:
    return FlowRunHistory(cast(Client, stored), uuid.uuid4(), states=False)


RUN = cast(Any, SimpleNamespace(state_id=None))


def test_many_lines_of_one_moment_are_all_read() -> None:
    stored = StoredLogs()
    for _ in range(650):
        stored.add(1)
    for number in range(300):
        stored.add(2 + number)
    assert len(watching(stored).read_all()) == 950


def test_no_line_is_lost_or_doubled_however_late_it_comes() -> None:
    chance = random.Random(7)
    stored, given = StoredLogs(), []
    history = watching(stored)
    for second in range(60):
        for _ in range(chance.randrange(30)):
            # Up to 40 s late: far more than the overlap of two reads.
            stored.add(max(0.0, second - chance.choice([0, 0, 0, 1, 3, 40]) + chance.random()))
        given += history.read_news(RUN)
    given += history.read_all()
    ids = [line.item.id for line in given]
    assert len(ids) == len(set(ids))
    assert set(ids) == {log.id for log in stored.logs}


def test_news_come_in_time_order_and_do_not_read_everything_again() -> None:
    stored = StoredLogs()
    history = watching(stored)
    for second in range(1000):
        stored.add(second)
    assert [line.timestamp for line in history.read_news(RUN)] == sorted(
        log.timestamp for log in stored.logs
    )
    stored.calls = 0
    stored.add(1000)
    assert len(history.read_news(RUN)) == 1
    assert stored.calls == 1
