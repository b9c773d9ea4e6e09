"""`flow.serve()`, `serve()` and `prefect flow serve`: a process that executes its deployments."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest, until

pytestmark = pytest.mark.timeout(240)  # a served flow runs in a process of its own


def test_several_served_flows_run_suspend_and_are_cancelled(
    client: PrefectClient, rest: Rest, tmp_path: Path
) -> None:
    serving = str(FLOWS / "serving.py")
    with client.running(serving, "many", ready="served"):
        served = until(
            lambda: {
                flow: rest.get(f"/deployments/name/{flow}/served")["id"]
                for flow in ("greet", "asks", "sleeps")
            }
        )
        asked = rest.post(
            f"/deployments/{served['asks']}/create_flow_run", {"parameters": {"question": "who?"}}
        )["id"]
        asleep = rest.post(
            f"/deployments/{served['sleeps']}/create_flow_run",
            {"parameters": {"folder": str(tmp_path)}},
        )["id"]
        said = client.command(
            *("deployment", "run", "greet/served", "-p", "name=served", "--watch"),
            *("--watch-interval", "1"),
        )
        assert "Completed" in said
        until((tmp_path / f"{asleep}.started").exists, timeout_seconds=90)
        client.command("flow-run", "cancel", asleep)
        assert rest.ended(asleep)["state_type"] == "CANCELLED"
        until((tmp_path / f"{asleep}.Cancelling").exists)
        until(lambda: rest.run(asked), lambda run: run["state_name"] == "Suspended", 90)
        until(lambda: has_form(rest, asked))
        rest.post(f"/flow_runs/{asked}/resume", {"run_input": {"value": "me"}})
        assert rest.ended(asked, 90)["state_type"] == "COMPLETED"
        deployment = rest.get("/deployments/name/greet/served")
        assert (deployment["version"], deployment["status"]) == ("2", "READY")
        assert until(lambda: rest.runs(deployment_id={"any_": [served["greet"]]}))
    for flow in served:
        assert rest.get(f"/deployments/name/{flow}/served")["paused"]


def has_form(rest: Rest, run_id: str) -> bool:
    """Whether the form of a run that waits for input is there: it comes after the state."""
    keyset = rest.run(run_id)["state"]["state_details"]["run_input_keyset"]
    body = {"prefix": keyset["schema"]}
    return bool(rest.post(f"/flow_runs/{run_id}/input/filter", body))


def test_one_served_flow_comes_back_where_it_was(client: PrefectClient, rest: Rest) -> None:
    serving = str(FLOWS / "serving.py")
    seen = []
    polled = ""
    for _ in range(2):
        with client.running(serving, "one", ready="alone"):
            # Once it has polled it also pauses what it serves when it is interrupted.
            deployment = until(partial(polled_since, rest, polled))
            assert (deployment["tags"], deployment["parameters"]) == (
                ["served"],
                {"name": "served"},
            )
            (schedule,) = deployment["schedules"]
            assert schedule["schedule"]["cron"] == "0 3 * * *"
        seen.append(deployment["id"])
        polled = deployment["last_polled"]
        assert rest.get("/deployments/name/greet/alone")["paused"]
    assert seen[0] == seen[1]


def polled_since(rest: Rest, moment: str) -> Any:
    """The deployment, when it goes on and was polled after that moment."""
    deployment = rest.get("/deployments/name/greet/alone")
    polled = (deployment["last_polled"] or "") > moment
    return deployment if polled and not deployment["paused"] else None


def test_the_command_serves_a_flow_too(client: PrefectClient, rest: Rest) -> None:
    entrypoint = f"{FLOWS / 'deployed.py'}:greet"
    serve = ("-m", "prefect", "flow", "serve", entrypoint, "--name", "by-command")
    with client.running(*serve, ready="by-command"):
        deployment = until(lambda: rest.get("/deployments/name/greet/by-command"))
        made = rest.post(f"/deployments/{deployment['id']}/create_flow_run")
        assert rest.ended(made["id"], 90)["state_type"] == "COMPLETED"
