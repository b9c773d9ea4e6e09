"""`penstock flow-run`: list, inspect, logs, cancel, delete."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from penstock.cli.pages import read_pages
from penstock.sdk.client import Client
from tests.cli.conftest import Deployed, Performer, Shell, unique


def test_runs_are_chosen_by_state_flow_deployment_and_tag(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    waiting = client.create_flow_run(deployment_id=deployed.deployment_id)
    failed = client.create_flow_run(deployment_id=deployed.deployment_id, tags=["nightly"])
    actor = Performer(client, failed)
    actor.start()
    actor.enter("FAILED", "no disk")

    def listed(*args: str) -> set[str]:
        answer = shell("flow-run", "ls", "--flow", deployed.flow, *args, "-o", "json")
        return {run["id"] for run in answer.json}

    assert listed() == {str(waiting), str(failed)}
    assert listed("--state", "failed") == {str(failed)}
    assert listed("--state", "Scheduled") == {str(waiting)}
    assert listed("--state", "failed", "--state", "Late") == {str(failed)}
    assert listed("--tag", "nightly") == {str(failed)}
    assert listed("--deployment", deployed.path) == {str(waiting), str(failed)}
    assert len(listed("--limit", "1")) == 1


def test_runs_of_the_future_do_not_hide_what_has_happened(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    due = client.create_flow_run(deployment_id=deployed.deployment_id)
    later = client.create_flow_run(
        deployment_id=deployed.deployment_id,
        scheduled_start_time=datetime.now(UTC) + timedelta(hours=1),
    )
    plain = shell("flow-run", "ls", "--flow", deployed.flow)
    assert str(due) in plain.out
    assert str(later) not in plain.out
    assert plain.err == "To start later: 1; see them with --later\n"
    for option in (["--later"], ["--state", "scheduled"]):
        answer = shell("flow-run", "ls", "--flow", deployed.flow, *option)
        assert str(later) in answer.out
        assert answer.err == ""


def test_the_table_names_the_flow_and_the_state(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    client.create_flow_run(deployment_id=deployed.deployment_id, flow_run_name="first")
    titles, row = shell("flow-run", "ls", "--flow", deployed.flow).lines
    assert titles.split() == ["ID", "FLOW", "NAME", "STATE", "STARTED", "TOOK"]
    assert deployed.flow in row
    assert "first" in row
    assert "Scheduled" in row


@pytest.mark.parametrize(("limit", "read"), [(20, [20]), (205, [200, 5]), (999, [200, 200, 200])])
def test_a_list_reads_no_more_pages_than_it_needs(limit: int, read: list[int]) -> None:
    stored = list(range(450))
    sizes = []

    def page(size: int, offset: int) -> list[int]:
        sizes.append(size)
        return stored[offset : offset + size]

    assert read_pages(page, limit) == stored[:limit]
    assert sizes == read


def test_a_run_is_found_by_its_name_if_only_one_bears_it(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    name = unique("run")
    first = client.create_flow_run(deployment_id=deployed.deployment_id, flow_run_name=name)
    assert shell("flow-run", "inspect", name, "-o", "json").json["id"] == str(first)
    second = client.create_flow_run(deployment_id=deployed.deployment_id, flow_run_name=name)
    answer = shell("flow-run", "inspect", name)
    assert answer.code == 1
    assert str(first) in answer.err
    assert str(second) in answer.err


def test_logs_come_whole_and_in_order(shell: Shell, client: Client, deployed: Deployed) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    actor = Performer(client, run)
    actor.say(*(f"line {number}" for number in range(450)))
    actor.say("careful", level=30)
    lines = shell("flow-run", "logs", str(run)).lines
    assert [line.split("INFO")[-1].strip() for line in lines[:450]] == [
        f"line {number}" for number in range(450)
    ]
    assert lines[450].split()[1:] == ["WARNING", "careful"]
    loud = shell("flow-run", "logs", str(run), "--level", "warning", "-o", "json")
    assert [json.loads(line)["message"] for line in loud.lines] == ["careful"]


def test_a_run_that_has_not_started_is_cancelled_at_once(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    answer = shell("flow-run", "cancel", str(run))
    assert answer.out.startswith("Cancelled flow run ")
    again = shell("flow-run", "cancel", str(run))
    assert again.code == 1
    assert "cannot be cancelled" in again.err


def test_a_run_under_way_is_asked_to_end(shell: Shell, client: Client, deployed: Deployed) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    Performer(client, run).start()
    answer = shell("flow-run", "cancel", str(run), "--output", "json").json
    assert (answer["id"], answer["state"]["type"]) == (str(run), "CANCELLING")


def test_a_running_run_is_suspended_and_resumed(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    refused = shell("flow-run", "suspend", str(run))
    assert refused.code == 1
    assert "is not suspended" in refused.err
    for state in ("PENDING", "RUNNING"):
        client.set_flow_run_state(run, state)
    assert shell("flow-run", "suspend", str(run)).out.startswith("Suspended flow run ")
    answer = shell("flow-run", "resume", str(run), "--output", "json").json
    assert (answer["id"], answer["state"]["name"]) == (str(run), "Resuming")
    again = shell("flow-run", "resume", str(run))
    assert again.code == 1
    assert "is not resumed" in again.err


def test_a_paused_run_gets_its_input(shell: Shell, client: Client, deployed: Deployed) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    client.create_flow_run_input(run, key="s", value=schema)
    paused = {"run_input_keyset": {"schema": "s", "response": "r"}}
    for state in (
        {"type": "PENDING"},
        {"type": "RUNNING"},
        {"type": "PAUSED", "state_details": paused},
    ):
        client.set_flow_run_state(run, state)
    assert "n: " in shell("flow-run", "resume", str(run), "--input", "n=many").err
    assert shell("flow-run", "resume", str(run), "--input", "n=3").code == 0
    assert client.read_flow_run_input(run, "r") == '{"n":3}'


def test_a_deleted_run_is_gone(shell: Shell, client: Client, deployed: Deployed) -> None:
    run = client.create_flow_run(deployment_id=deployed.deployment_id)
    assert shell("flow-run", "delete", str(run)).code == 1
    assert shell("flow-run", "delete", str(run), "--yes").code == 0
    assert shell("flow-run", "inspect", str(run)).code == 1
