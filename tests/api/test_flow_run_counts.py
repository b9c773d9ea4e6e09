"""Counts that are kept, not counted: whatever happens to runs, they are what counting would say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from penstock.server.app import Server
from penstock.services.run_counts import fold_run_counts
from penstock.store.filter_scopes import Scope, flow_run_conditions
from penstock.store.flow_run_counts import countable
from penstock.store.tables import flow_run
from penstock.store.transaction import Transaction
from tests.api.calls import Api

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = NOW.replace(minute=0, second=0)


def iso(at: datetime) -> str:
    return at.isoformat()


def filters(deployments: list[str]) -> Iterator[dict[str, Any]]:
    """Filters that the counts answer, alone and in pairs."""
    states: list[dict[str, Any]] = [{}]
    for types in (["SCHEDULED"], ["COMPLETED", "RUNNING"], []):
        states.append({"state": {"type": {"any_": types}}})
    others: list[dict[str, Any]] = [{}]
    for ids in ([deployments[0]], deployments, [str(uuid4())]):
        others.append({"deployment_id": {"any_": ids}})
    after, before = HOUR - timedelta(hours=3), HOUR + timedelta(hours=3)
    odd = timedelta(minutes=20)
    for bounds in (
        {"after_": iso(after)},
        {"before_": iso(before)},
        {"after_": iso(after), "before_": iso(before)},
        {"after_": iso(after + odd), "before_": iso(before - odd)},
        {"after_": iso(HOUR), "before_": iso(HOUR + odd)},
    ):
        others.append({"expected_start_time": bounds})
    for state in states:
        for other in others:
            yield {**state, **other}


def looked_at(filter: dict[str, Any]) -> Any:
    """A count of the filter's runs that looks at each of them."""
    from penstock.contract.rest.filters import FlowRunFilter

    scope = Scope(flow_runs=FlowRunFilter.model_validate(filter))

    def count(tx: Transaction) -> int:
        query = select(func.count().label("runs")).select_from(flow_run)
        return int(tx.value(query.where(*flow_run_conditions(scope))))

    return count


async def assert_counts_hold(api: Api, server: Server, deployments: list[str]) -> None:
    assert server.database is not None
    for filter in filters(deployments):
        said = await api.post("/flow_runs/count", {"flow_runs": filter})
        assert said == await server.database.read(looked_at(filter)), filter


@pytest.mark.anyio
async def test_counts_are_exact_after_everything_that_happens_to_runs(
    api: Api, server: Server
) -> None:
    assert server.database is not None
    flow = await api.post("/flows/", {"name": "counted"})
    deployments = []
    for name in ("one", "two"):
        made = await api.post("/deployments/", {"name": name, "flow_id": flow["id"]})
        deployments.append(made["id"])
    runs = []
    for n in range(12):
        at = HOUR + timedelta(hours=n - 6, minutes=(n * 25) % 60)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": iso(at)}}
        path = f"/deployments/{deployments[n % 2]}/create_flow_run"
        runs.append((await api.post(path, {"state": state}))["id"])
    await api.post("/flow_runs/", {"flow_id": flow["id"]})
    exact = {"type": "SCHEDULED", "state_details": {"scheduled_time": iso(HOUR)}}
    await api.post(f"/deployments/{deployments[0]}/create_flow_run", {"state": exact})
    await assert_counts_hold(api, server, deployments)
    for run in runs[:4]:
        for type in ("PENDING", "RUNNING", "COMPLETED"):
            await api.post(f"/flow_runs/{run}/set_state", {"state": {"type": type}, "force": True})
    await fold_run_counts(server.database, NOW)
    await api.post(f"/flow_runs/{runs[0]}/set_state", {"state": {"type": "CRASHED"}, "force": True})
    await assert_counts_hold(api, server, deployments)
    await api.delete(f"/flow_runs/{runs[1]}")
    await api.delete(f"/flow_runs/{runs[7]}")
    await api.delete(f"/deployments/{deployments[1]}")
    await assert_counts_hold(api, server, deployments)
    await fold_run_counts(server.database, NOW)
    await assert_counts_hold(api, server, deployments)
    await api.delete(f"/flows/{flow['id']}")
    await assert_counts_hold(api, server, deployments)
    assert await api.post("/flow_runs/count", {}) == 0


@pytest.mark.parametrize(
    "filter",
    [
        {"name": {"like_": "a"}},
        {"operator": "or_", "state": {"type": {"any_": ["RUNNING"]}}},
        {"state": {"name": {"any_": ["Late"]}}},
        {"state": {"type": {"not_any_": ["RUNNING"]}}},
        {"deployment_id": {"is_null_": True}},
        {
            "deployment_id": {"any_": ["00000000-0000-7000-8000-000000000001"]},
            "expected_start_time": {"after_": "2026-01-01T00:00:00Z"},
        },
        {
            "expected_start_time": {
                "after_": "2026-01-01T00:00:00Z",
                "before_": "2026-01-01T00:00:00Z",
            }
        },
        {"expected_start_time": {"after_": "1969-01-01T00:00:00Z"}},
    ],
    ids=str,
)
def test_what_the_counts_do_not_hold_is_left_to_counting(filter: dict[str, Any]) -> None:
    from penstock.contract.rest.filters import FlowRunFilter

    assert countable(FlowRunFilter.model_validate(filter)) is None


def test_the_filters_of_dashboards_are_answered_by_the_counts() -> None:
    from penstock.contract.rest.filters import FlowRunFilter

    asked = list(filters([str(uuid4()), str(uuid4())]))
    answered = [f for f in asked if countable(FlowRunFilter.model_validate(f)) is not None]
    # Neither within one hour, nor by a deployment and a time.
    assert len(asked) - len(answered) == 4
