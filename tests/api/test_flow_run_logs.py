"""The logs of a flow run as a file."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.api.rest import flow_run_logs
from tests.api.calls import Api

pytestmark = pytest.mark.anyio

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def line(i: int, run: str, **fields: Any) -> dict[str, Any]:
    at = (START + timedelta(seconds=i)).isoformat()
    text = {"name": "n", "level": 20, "message": f"line {i}", "timestamp": at}
    return {**text, "flow_run_id": run, **fields}


async def test_the_lines_of_a_run_come_as_csv_in_their_order(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow(), name="rün/1"))["id"]
    task = "00000000-0000-0000-0000-000000000001"
    lines = [line(1, run, message='two\n"lines"', task_run_id=task), line(0, run), line(2, task)]
    await api.post("/logs/", lines)
    answer = await api.call("GET", f"/flow_runs/{run}/logs/download")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "filename*=UTF-8''r%C3%BCn%2F1-logs.csv" in answer.headers["content-disposition"]
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["timestamp", "level", "flow_run_id", "task_run_id", "message"],
        ["2026-11-20 12:00:00+00:00", "20", run, "", "line 0"],
        ["2026-11-20 12:00:01+00:00", "20", run, task, 'two\n"lines"'],
    ]


async def test_more_lines_than_are_read_at_once_come_each_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_run_logs, "PAGE", 3)
    run = (await api.make_flow_run(await api.make_flow()))["id"]
    # several of one moment, across the ends of pages
    await api.post("/logs/", [line(i // 4, run, message=str(i)) for i in range(12)])
    answer = await api.call("GET", f"/flow_runs/{run}/logs/download")
    messages = [row[4] for row in csv.reader(io.StringIO(answer.text))]
    assert messages[1:] == [str(i) for i in range(12)]


async def test_a_run_without_lines_gives_the_heading_and_none_gives_404(api: Api) -> None:
    run = (await api.make_flow_run(await api.make_flow()))["id"]
    answer = await api.call("GET", f"/flow_runs/{run}/logs/download")
    assert answer.text == "timestamp,level,flow_run_id,task_run_id,message\r\n"
    missing = "/flow_runs/00000000-0000-0000-0000-000000000001/logs/download"
    assert (await api.call("GET", missing)).status_code == 404
