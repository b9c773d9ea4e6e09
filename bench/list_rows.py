"""The queries that lists and dashboards use, on a large history: each one row with its budget."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.bodies import iso, repeated
from bench.http_rows import PAGE, warm_up
from bench.loadgen import Load
from bench.measurement import Effort, Measurement, Row, Sample, Session, finish
from bench.seed import HISTORY_DAYS, seed_history
from bench.targets import Target

#: milliseconds: a page that somebody looks at, a count that is kept, whatever has to look at runs
PAGE_MS, COUNT_MS, SEARCH_MS = 25, 5, 500
_SEEDED = "history of "
_NEWEST_FIRST = "EXPECTED_START_TIME_DESC"
_HOUR = timedelta(hours=1)

#: (runs, a deployment) -> the filters and whatever else the body has
MakeBody = Callable[[int, str], dict[str, Any]]


def _deployment_with_history(target: Target, runs: int) -> str:
    """One of the deployments whose runs are listed; made when first asked for."""
    for name in target.seeded:
        if name.startswith(_SEEDED):
            return name.removeprefix(_SEEDED)
    deployment = seed_history(target, runs)
    target.seeded.add(_SEEDED + deployment)
    return deployment


def _read(key: str, path: str, body: MakeBody, share: float) -> Session:
    @contextmanager
    def run(target: Target, effort: Effort) -> Iterator[Sample]:
        deployment = _deployment_with_history(target, effort.runs)

        def sample() -> dict[str, float]:
            # A list that comes out shorter than a page is no figure.
            found = min(PAGE, round(effort.runs * share))
            runs = found if path.endswith("filter") else None
            make = repeated(key, target.api.post(path, body(effort.runs, deployment)), runs)
            warm_up(target, make)
            result = finish(Load(target.api, effort.seconds).add(key, make), target)
            return {key: result.percentile_ms(key, 50)}

        yield sample

    return run


def _row(
    key: str, what: str, budget: float, path: str, body: MakeBody, share: float = 1
) -> Measurement:
    """`share`: of all runs, those that the list has."""
    row = Row(key, what, "p50, ms", budget, budget)
    return Measurement(key, (row,), _read(key, path, body, share))


def _page(filters: Callable[[str], dict[str, Any]], sort: str = _NEWEST_FIRST) -> MakeBody:
    return lambda _, deployment: {"limit": PAGE, "sort": sort, **filters(deployment)}


def _runs(**criteria: Any) -> Callable[[str], dict[str, Any]]:
    return lambda _: {"flow_runs": criteria}


def _now_to_the_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _deep_page(runs: int, _deployment: str) -> dict[str, Any]:
    return {"limit": PAGE, "sort": _NEWEST_FIRST, "offset": runs // 2}


def _one_deployment(deployment: str) -> dict[str, Any]:
    return {"deployments": {"id": {"any_": [deployment]}}}


def _count_by_deployment(_runs: int, deployment: str) -> dict[str, Any]:
    return {"flow_runs": {"deployment_id": {"any_": [deployment]}}}


def _count_by_hour(_runs: int, _deployment: str) -> dict[str, Any]:
    end = _now_to_the_hour()
    bounds = {"after_": iso(end - 24 * _HOUR), "before_": iso(end)}
    return {"flow_runs": {"state": _in("COMPLETED"), "expected_start_time": bounds}}


def _history(_runs: int, _deployment: str) -> dict[str, Any]:
    end = _now_to_the_hour()
    start = iso(end - 24 * _HOUR)
    return {"history_start": start, "history_end": iso(end), "history_interval_seconds": 3600}


def _in(*types: str) -> dict[str, Any]:
    return {"type": {"any_": list(types)}}


_FILTER, _COUNT = "/flow_runs/filter", "/flow_runs/count"
MEASUREMENTS = [
    _row(
        "page",
        f"first page of {PAGE} out of {{runs:,}} runs",
        PAGE_MS,
        _FILTER,
        _page(lambda _: {}),
    ),
    _row(
        "page-deployment",
        "the same, of one deployment out of ten",
        PAGE_MS,
        _FILTER,
        _page(_one_deployment),
        share=0.1,
    ),
    _row(
        "page-failed",
        "the same, failed ones (4 %), by start time",
        PAGE_MS,
        _FILTER,
        _page(_runs(state=_in("FAILED", "CRASHED")), "START_TIME_DESC"),
        share=0.04,
    ),
    _row(
        "page-late",
        "the same, late ones (1 %)",
        PAGE_MS,
        _FILTER,
        _page(_runs(state={"name": {"any_": ["Late"]}})),
        share=0.01,
    ),
    _row(
        "page-tag",
        "the same, with a tag that all have",
        PAGE_MS,
        _FILTER,
        _page(_runs(tags={"any_": ["bench"]})),
    ),
    _row(
        "dots",
        f"chart of the newest {PAGE} runs",
        PAGE_MS,
        "/ui/flow_runs/history",
        lambda *_: {"limit": PAGE, "sort": _NEWEST_FIRST, "flow_runs": {}},
    ),
    _row(
        "count-state",
        "count of {runs:,} runs by state",
        COUNT_MS,
        _COUNT,
        lambda *_: {"flow_runs": {"state": _in("COMPLETED")}},
    ),
    _row("count-deployment", "the same, by deployment", COUNT_MS, _COUNT, _count_by_deployment),
    _row("count-hour", "the same, by state and hour, 24 hours", COUNT_MS, _COUNT, _count_by_hour),
    _row(
        "history",
        f"history of one day out of {HISTORY_DAYS}, by hour and state",
        SEARCH_MS,
        "/flow_runs/history",
        _history,
    ),
    _row("deep-page", "page half way down {runs:,} runs", SEARCH_MS, _FILTER, _deep_page),
    _row(
        "count-tag",
        "count of {runs:,} runs by state and a tag that a tenth has",
        SEARCH_MS,
        _COUNT,
        lambda _, deployment: {
            "flow_runs": {"state": _in("COMPLETED"), "tags": {"any_": [deployment]}}
        },
    ),
    _row(
        "count-like",
        "count of {runs:,} runs by `like_`",
        SEARCH_MS,
        _COUNT,
        lambda *_: {"flow_runs": {"name": {"like_": "seeded-77"}}},
    ),
]
