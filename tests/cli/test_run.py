"""`penstock run` without watching: which deployment is meant, and what the run is given."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.sdk.client import Client
from tests.cli.conftest import Deployed, Shell, deploy, unique


def test_a_run_gets_everything_it_was_given(shell: Shell, deployed: Deployed) -> None:
    answer = shell(
        *("run", deployed.path, "--run-name", "first", "--tag", "a", "--tag", "b"),
        *("--param", "n=1", "--param", "my key=some text", "--param", "list=[1, 2]"),
        *("--context", "who=me", "--output", "json"),
    )
    run = answer.json
    assert run["name"] == "first"
    assert sorted(run["tags"]) == ["a", "b"]
    assert run["parameters"] == {"n": 1, "my key": "some text", "list": [1, 2]}
    assert run["context"]["who"] == "me"
    assert run["state"]["type"] == "SCHEDULED"


def test_quiet_prints_the_id_and_nothing_else(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    answer = shell("run", deployed.path, "--quiet")
    assert answer.err == ""
    assert len(answer.lines) == 1
    assert client.read_flow_run(answer.lines[0]).deployment_id == deployed.deployment_id


def test_people_are_told_the_name_and_how_to_watch(shell: Shell, deployed: Deployed) -> None:
    answer = shell("run", deployed.path, "--run-name", "first")
    assert answer.lines[0].startswith("Flow run 'first' (")
    assert deployed.path in answer.lines[0]
    assert "penstock flow-run logs" in answer.lines[1]


def test_parameters_come_from_a_file_or_stdin_and_options_win(
    shell: Shell, deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"n": 1, "kept": True}))
    args = ("--param", "n=2", "--output", "json")
    for source, stdin in ((str(file), ""), ("-", file.read_text())):
        answer = shell("run", deployed.path, "--param-file", source, *args, stdin=stdin)
        assert answer.json["parameters"] == {"n": 2, "kept": True}
    for broken in ("{", "[1]", '{"n": NaN}', '{"n": 1e999}', '{"n": 99999999999999999999}'):
        answer = shell("run", deployed.path, "--param-file", "-", stdin=broken)
        assert answer.code == 1
        assert "parameter file" in answer.err


def test_a_key_creates_one_run(shell: Shell, deployed: Deployed) -> None:
    key = unique("key")
    first = shell("run", deployed.path, "--idempotency-key", key, "--quiet")
    second = shell("run", deployed.path, "--idempotency-key", key, "--quiet")
    assert first.out == second.out


def test_a_run_starts_later_when_told_so(shell: Shell, deployed: Deployed) -> None:
    before = datetime.now(UTC)
    soon = shell("run", deployed.path, "--start-in", "10m", "--output", "json").json
    start = datetime.fromisoformat(soon["next_scheduled_start_time"])
    assert timedelta(minutes=10) <= start - before < timedelta(minutes=11)
    then = shell("run", deployed.path, "--start-at", "2035-01-31T09:00+01:00", "-o", "json").json
    assert datetime.fromisoformat(then["expected_start_time"]) == datetime(
        2035, 1, 31, 8, tzinfo=UTC
    )


def test_parameters_that_break_the_schema_are_one_line_naming_the_field(
    shell: Shell, client: Client
) -> None:
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "integer"}},
        "required": ["amount"],
    }
    strict = deploy(
        client,
        unique("flow"),
        unique("deployment"),
        parameter_openapi_schema=schema,
        enforce_parameter_schema=True,
    )
    for args in ((), ("--param", "amount=many")):
        answer = shell("run", strict.path, *args)
        assert answer.code == 1
        assert answer.out == ""
        assert "amount" in answer.err
        assert len(answer.err.splitlines()) == 1


def test_an_id_may_be_a_deployments_or_that_of_a_flow_with_one(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    for wanted in (deployed.deployment_id, deployed.flow_id):
        run = shell("run", "--id", str(wanted), "-o", "json").json
        assert run["deployment_id"] == str(deployed.deployment_id)
    other = deploy(client, deployed.flow, unique("other"))
    several = shell("run", "--id", str(deployed.flow_id))
    assert several.code == 1
    assert deployed.path in several.err
    assert str(other.deployment_id) in several.err


def test_a_flow_without_a_deployment_must_be_deployed_first(shell: Shell, client: Client) -> None:
    flow_id = client.create_flow(unique("flow"))
    answer = shell("run", "--id", str(flow_id))
    assert answer.code == 1
    assert "penstock deploy" in answer.err


def test_an_unknown_id_names_all_that_it_could_have_been(shell: Shell) -> None:
    answer = shell("run", "--id", str(uuid.uuid4()))
    assert answer.code == 1
    assert "No deployment, flow or flow group" in answer.err
    assert "not a UUID" in shell("run", "--id", "etl").err


def test_a_name_is_a_flows_and_the_project_chooses_among_its_deployments(
    shell: Shell, client: Client, deployed: Deployed
) -> None:
    by_name = shell("run", "--name", deployed.flow, "-o", "json").json
    assert by_name["deployment_id"] == str(deployed.deployment_id)
    other = deploy(client, deployed.flow, unique("project"))
    several = shell("run", "--name", deployed.flow)
    assert several.code == 1
    assert deployed.path in several.err
    assert other.path in several.err
    chosen = shell("run", "--name", deployed.flow, "--project", other.name, "-o", "json").json
    assert chosen["deployment_id"] == str(other.deployment_id)
    nothing = shell("run", "--name", deployed.flow, "--project", "nowhere")
    assert nothing.code == 1
    assert "penstock deployment ls" in nothing.err
