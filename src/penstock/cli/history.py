"""What a flow run has said so far, read over REST: each state and log line exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.cli.pages import PAGE_SIZE

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRunResponse
    from penstock.sdk.client import Client

#: Lines arrive in batches, from several processes: one may be older than the newest line we know.
_OVERLAP = timedelta(seconds=5)
_TICK = timedelta(microseconds=1)
#: The last line of a run that Prefect's client executes begins so.
_LAST_WORDS = "Finished in state"


@dataclass(frozen=True)
class Line:
    """One state or log line of a flow run."""

    #: When it happened, by the clock of whoever reported it.
    timestamp: datetime
    #: The state or log as it came over the wire.
    item: Any

    @property
    def is_state(self) -> bool:
        """Whether this is a change of state, not a log line."""
        return hasattr(self.item, "state_details")


class FlowRunHistory:
    """Reads what is new about one flow run; known ids are not given again."""

    def __init__(
        self,
        client: Client,
        flow_run_id: UUID,
        *,
        states: bool = True,
        logs: bool = True,
        level: int | None = None,
    ) -> None:
        self.client = client
        self.flow_run_id = flow_run_id
        self._wants_states = states
        self._wants_logs = logs
        self._level = level
        self._seen: set[UUID] = set()
        self._newest_log: datetime | None = None
        #: Nothing more is expected: no logs are wanted, or the last line of Prefect's client came.
        self.is_complete = not logs

    def read_flow_run(self) -> FlowRunResponse:
        """The run as it is now."""
        return self.client.read_flow_run(self.flow_run_id)

    def read_news(self, run: FlowRunResponse) -> list[Line]:
        """What has come since the last call, in time order; `run` was read just before."""
        after = self._newest_log and self._newest_log - _OVERLAP
        return self._unseen(after, states=run.state_id not in self._seen)

    def read_all(self) -> list[Line]:
        """All that was not given yet, however late or old it is."""
        return self._unseen(None, states=True)

    def _unseen(self, after: datetime | None, states: bool) -> list[Line]:
        lines: list[Line] = []
        if self._wants_states and states:
            for state in self.client.read_flow_run_states(self.flow_run_id):
                if state.id not in self._seen:
                    assert state.timestamp is not None, "stored states have a time"
                    lines.append(Line(state.timestamp, state))
        if self._wants_logs:
            for log in self._read_logs(after):
                if log.id not in self._seen:
                    lines.append(Line(log.timestamp, log))
                    self.is_complete |= log.message.startswith(_LAST_WORDS)
                    self._newest_log = max(self._newest_log or log.timestamp, log.timestamp)
        fresh = {line.item.id: line for line in lines}
        self._seen.update(fresh)
        return sorted(fresh.values(), key=lambda line: line.timestamp)

    def _read_logs(self, after: datetime | None) -> Iterator[Any]:
        """Pages by time, so that the thousandth page costs what the first does.

        The offset serves only where one moment has more lines than a page. A page may repeat lines
        of the one before it, never skip any.
        """
        wanted: dict[str, Any] = {"flow_run_id": {"any_": [str(self.flow_run_id)]}}
        if self._level:
            wanted["level"] = {"ge_": self._level}
        offset = 0
        while True:
            since = {"timestamp": {"after_": after.isoformat()}} if after else {}
            page = self.client.read_logs(
                logs={**wanted, **since}, sort="TIMESTAMP_ASC", limit=PAGE_SIZE, offset=offset
            )
            yield from page
            if len(page) < PAGE_SIZE:
                return
            last = page[-1].timestamp - _TICK
            if after is None or last > after:
                after, offset = last, 0
            else:
                offset += len(page)
