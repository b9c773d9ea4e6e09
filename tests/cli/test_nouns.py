"""`flow`, `deployment` and `work-pool`: list, inspect, change, delete."""

import json
import uuid

import pytest

from penstock.sdk.client import Client
from tests.cli.conftest import Deployed, Shell, deploy, unique


def test_a_list_is_a_table_for_people_and_json_for_programs(
    shell: Shell, deployed: Deployed
) -> None:
    table = shell("flow", "ls", "--name", deployed.flow)
    assert table.lines[0].split() == ["ID", "NAME", "TAGS", "CREATED"]
    assert str(deployed.flow_id) in table.lines[1]
    listed = shell("flow", "ls", "--name", deployed.flow, "--output", "json").json
    assert [(flow["id"], flow["name"]) for flow in listed] == [
        (str(deployed.flow_id), deployed.flow)
    ]


def test_a_terminal_gets_colours_and_whole_ids(shell: Shell, deployed: Deployed) -> None:
    answer = shell("flow", "ls", "--name", deployed.flow, terminal=True)
    assert answer.lines[0].startswith("\x1b[")
    assert answer.lines[1].startswith(str(deployed.flow_id))


def test_an_empty_list_says_so_on_stderr(shell: Shell) -> None:
    answer = shell("flow", "ls", "--name", unique("nothing"))
    assert (answer.code, answer.out, answer.err) == (0, "", "No flows.\n")
    assert shell("flow", "ls", "--name", unique("nothing"), "-o", "json").json == []


def test_a_thing_is_found_by_name_and_by_id(shell: Shell, deployed: Deployed) -> None:
    by_name = shell("flow", "inspect", deployed.flow, "-o", "json").json
    assert by_name == shell("flow", "inspect", str(deployed.flow_id), "-o", "json").json
    for argument in (deployed.path, str(deployed.deployment_id), deployed.name):
        found = shell("deployment", "inspect", argument, "--output", "json").json
        assert found["id"] == str(deployed.deployment_id)
    shown = shell("flow", "inspect", deployed.flow).lines
    assert ["name", deployed.flow] in [line.split() for line in shown]


@pytest.mark.parametrize(
    ("noun", "remedy"),
    [
        ("flow", "penstock flow ls"),
        ("deployment", "penstock deployment ls"),
        ("flow-run", "penstock flow-run ls"),
        ("work-pool", "penstock work-pool ls"),
    ],
)
def test_what_is_not_there_is_one_line_that_says_where_to_look(
    shell: Shell, noun: str, remedy: str
) -> None:
    for argument in ("no-such/thing" if noun == "deployment" else "no-such", str(uuid.uuid4())):
        answer = shell(noun, "inspect", argument)
        assert answer.code == 1
        assert answer.err.startswith("Error: There is no ")
        assert remedy in answer.err
        assert len(answer.err.splitlines()) == 1


def test_a_name_of_several_deployments_is_refused_with_a_list(shell: Shell, client: Client) -> None:
    name = unique("daily")
    first = deploy(client, unique("flow"), name)
    second = deploy(client, unique("flow"), name)
    answer = shell("deployment", "inspect", name)
    assert answer.code == 1
    assert first.path in answer.err
    assert str(second.deployment_id) in answer.err


def test_deployments_are_listed_with_flow_pool_and_schedules(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    schedule = {"schedule": {"cron": "0 9 * * *", "timezone": "Europe/Paris"}, "active": True}
    client.update_deployment(deployed.deployment_id, schedules=[schedule])
    deploy(client, deployed.flow, unique("elsewhere"))
    answer = shell("deployment", "ls", "--flow", deployed.flow, "--pool", deployed.pool)
    assert len(answer.lines) == 2
    assert deployed.path in answer.lines[1]
    assert "cron 0 9 * * * Europe/Paris" in answer.lines[1]
    schedules = shell("deployment", "schedules", "ls", deployed.path, "-o", "json").json
    assert [item["schedule"]["cron"] for item in schedules] == ["0 9 * * *"]
    assert "0 9 * * *" in shell("deployment", "schedules", "ls", deployed.path).out


def test_a_deployment_is_paused_and_resumed(shell: Shell, deployed: Deployed) -> None:
    assert shell("deployment", "pause", deployed.path).out == (
        f"Paused deployment {deployed.path!r}.\n"
    )
    inspected = shell("deployment", "inspect", deployed.path, "-o", "json").json
    assert inspected["paused"] is True
    resumed = shell("deployment", "resume", deployed.path, "-o", "json").json
    assert resumed == {
        "id": str(deployed.deployment_id),
        "name": deployed.path,
        "paused": False,
    }


def test_deleting_asks_and_takes_no_for_an_answer(shell: Shell, deployed: Deployed) -> None:
    nobody = shell("deployment", "delete", deployed.path)
    assert nobody.code == 1
    assert "--yes" in nobody.err
    no = shell("deployment", "delete", deployed.path, stdin="n\n", terminal=True)
    assert no.code == 1
    assert shell("deployment", "inspect", deployed.path).code == 0
    yes = shell("deployment", "delete", deployed.path, stdin="y\n", terminal=True)
    assert yes.code == 0
    assert shell("deployment", "inspect", deployed.path).code == 1
    assert shell("flow", "delete", deployed.flow, "--yes").code == 0
    assert shell("flow", "inspect", deployed.flow).code == 1


def test_a_work_pool_lives_from_create_to_delete(shell: Shell) -> None:
    name = unique("pool")
    made = shell("work-pool", "create", name, "--concurrency-limit", "4", "-o", "json").json
    assert (made["name"], made["type"], made["concurrency_limit"]) == (name, "process", 4)
    assert "command" in made["base_job_template"]["variables"]["properties"]
    again = shell("work-pool", "create", name)
    assert again.code == 1
    assert "already" in again.err

    changed = shell("work-pool", "update", name, "--description", "Mine", "-o", "json").json
    assert changed["description"] == "Mine"
    unlimited = shell("work-pool", "update", name, "--concurrency-limit", "-1", "-o", "json").json
    assert unlimited["concurrency_limit"] is None

    assert shell("work-pool", "pause", name).code == 0
    assert shell("work-pool", "inspect", name, "-o", "json").json["is_paused"] is True
    assert shell("work-pool", "resume", name, "-o", "json").json["is_paused"] is False
    assert any(
        line.startswith(f"{name} ") for line in shell("work-pool", "ls", "--limit", "200").lines
    )
    assert shell("work-pool", "delete", name, "--yes").out == f"Deleted work pool {name!r}.\n"
    assert shell("work-pool", "inspect", name).code == 1


def test_a_pool_takes_its_job_template_from_a_file_or_stdin(shell: Shell) -> None:
    template = {
        "job_configuration": {"command": "{{ command }}"},
        "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
    }
    args = ("work-pool", "create", unique("pool"), "--base-job-template", "-", "-o", "json")
    made = shell(*args, stdin=json.dumps(template))
    assert made.json["base_job_template"] == template
    broken = shell(*args, stdin="{")
    assert broken.code == 1
    assert "not JSON" in broken.err


def test_the_version_of_both_sides_is_shown_even_if_one_is_away(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = shell("version", "-o", "json").json
    assert both["server"]
    assert both["api_url"] == shell.api_url
    monkeypatch.setattr("penstock.sdk.wire.MAX_RETRIES", 0)
    away = Shell("http://127.0.0.1:9/api", monkeypatch)("version")
    assert away.code == 0
    assert "client" in away.lines[0]
    assert "no answer" in away.out


def test_a_server_that_is_away_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("penstock.sdk.wire.MAX_RETRIES", 0)
    answer = Shell("http://127.0.0.1:9/api", monkeypatch)("flow", "ls")
    assert answer.code == 1
    assert "penstock server start" in answer.err
    assert len(answer.err.splitlines()) == 1
