"""Variables, artifacts, blocks and logs: written by the client, read back by it and by us."""

import pytest

from tests.wire.v3.client import PrefectClient, Rest, until

pytestmark = pytest.mark.timeout(120)


def test_variables_artifacts_blocks_and_logs(client: PrefectClient, rest: Rest) -> None:
    facts = client.facts("objects.py")
    ids = facts["ids"]
    assert facts["variables"] == {
        "found": [[1, {"two": 2}], "third", "none"],
        "refused": "ValueError",
        "gone": [True],
    }
    assert facts["artifacts"] == {
        "latest": ["# of a task", True],
        "progress": 80.0,
        "none": None,
        "made": False,
    }
    assert facts["blocks"] == {
        "refused": True,
        "secret": "open sesame",
        "secret json": {"user": "me"},
        "json": {"deep": [1, None, "ü"]},
        "service": ["me", "hidden", "http://localhost"],
        "gone": True,
    }
    assert facts["async secret"] == "open sesame"
    the_objects_are_kept(rest, ids)
    the_secrets_are_hidden(rest)
    the_logs_are_read(client, ids["logs"])


def the_objects_are_kept(rest: Rest, ids: dict[str, str]) -> None:
    assert rest.get("/variables/name/wire_list")["tags"] == ["a", "b"]
    made = rest.post(
        "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [ids["artifacts"]]}}}
    )
    kinds = sorted((a["key"] or "", a["type"]) for a in made if a["type"] != "result")
    assert kinds == [
        *(("", "markdown"), ("wire-image", "image"), ("wire-link", "markdown")),
        *(("wire-progress", "progress"), ("wire-report", "markdown"), ("wire-report", "markdown")),
        ("wire-table", "table"),
    ]
    latest = rest.get("/artifacts/wire-report/latest")
    assert latest["data"] == "# of a task"
    assert latest["task_run_id"] in {t["id"] for t in rest.task_runs(ids["artifacts"], 1)}


def the_secrets_are_hidden(rest: Rest) -> None:
    path = "/block_types/slug/secret/block_documents/name/wire-secret"
    assert rest.get(path)["data"] == {"value": "********"}
    assert rest.get(path, include_secrets=True)["data"] == {"value": "open sesame"}
    service = rest.get("/block_types/slug/service/block_documents/name/wire-service")
    assert service["data"]["login"]["password"] == "********"
    assert service["block_document_references"]["login"]["block_document"]["name"] == "wire-login"


def the_logs_are_read(client: PrefectClient, run_id: str) -> None:
    lines = until(
        lambda: client.facts("objects.py", "logs", run_id),
        lambda lines: [20, "prefect.flow_runs", "Finished in state Completed()"] in lines,
    )
    mine = [line for line in lines if line[2] in WRITTEN]
    assert mine == [
        [20, "prefect.flow_runs", "from the flow"],
        [30, "prefect.flow_runs", "with arguments"],
        [20, "prefect.flow_runs", "printed"],
        [40, "prefect.task_runs", "from the task"],
    ]
    said = client.command("flow-run", "logs", run_id)
    assert "from the flow" in said
    assert "too quiet" not in said


WRITTEN = {"too quiet", "from the flow", "with arguments", "printed", "from the task"}
