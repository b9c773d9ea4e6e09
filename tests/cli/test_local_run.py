"""`penstock run --path` and `--module`, and `penstock deploy`: flows in files."""

import subprocess
from pathlib import Path

import pytest

from penstock.sdk.client import Client
from tests.cli.conftest import PENSTOCK, Shell, unique

FLOWS = '''
from penstock import flow, get_run_logger, task

@task
def double(n):
    return 2 * n

@flow
def add(n: int = 1):
    """Adds."""
    get_run_logger().info("twice is %s", double(n))

@flow(name="other flow")
def fail():
    raise RuntimeError("no disk")
'''


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A file with two flows."""
    file = tmp_path / "flows.py"
    file.write_text(FLOWS)
    return file


@pytest.fixture
def pool(client: Client) -> str:
    """A work pool to deploy to."""
    name = unique("pool")
    client.create_work_pool(name, type="process")
    return name


def test_a_flow_of_a_file_runs_here_and_is_recorded(
    shell: Shell, client: Client, flows: Path
) -> None:
    answer = shell(
        *("run", "--path", str(flows), "--name", "add", "--param", "n=21"),
        *("--run-name", "here", "--tag", "local", "--context", "who=me"),
    )
    assert answer.code == 0, answer
    assert "Flow run 'here'" in answer.out
    assert "ended Completed" in answer.out
    run_id = answer.out.split("(")[1].split(")")[0]
    assert "twice is 42" in shell("flow-run", "logs", run_id).out
    run = client.read_flow_run(run_id)
    assert (run.name, run.parameters, run.tags) == ("here", {"n": 21}, ["local"])
    assert run.context["who"] == "me"


def test_a_flow_that_fails_here_is_exit_code_1(shell: Shell, flows: Path) -> None:
    answer = shell("run", "--path", str(flows), "--name", "other flow", "--output", "json")
    assert answer.code == 1
    assert answer.json["state"]["type"] == "FAILED"


def test_quiet_and_no_logs_say_less(shell: Shell, flows: Path) -> None:
    quiet = shell("run", "--path", str(flows), "--name", "add", "--quiet")
    assert (quiet.code, len(quiet.lines), quiet.err) == (0, 1, "")
    silent = shell("run", "--path", str(flows), "--name", "add", "--no-logs")
    assert "twice" not in silent.out + silent.err


def test_a_module_is_found_from_the_current_folder(
    api_url: str, flows: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*PENSTOCK, "run", "--module", "flows", "--name", "add", "-o", "json"],
        env={"PENSTOCK_API_URL": api_url, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"COMPLETED"' in done.stdout
    assert "twice is 2" in done.stderr


@pytest.mark.parametrize(
    ("source", "args", "told"),
    [
        (FLOWS, [], "several flows: add, other flow — choose one with --name"),
        (FLOWS, ["--name", "nothing"], "There is no flow 'nothing'"),
        ("x = 1", [], "There is no flow in"),
        ("import no_such_module", [], "No module named 'no_such_module'"),
        ("def (", [], "SyntaxError"),
        (FLOWS, ["--name", "add", "--param", "n=many"], "n"),
        (FLOWS, ["--name", "add", "--param", "m=1"], "m"),
    ],
)
def test_what_cannot_run_is_told_in_one_line(
    shell: Shell, tmp_path: Path, source: str, args: list[str], told: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source)
    answer = shell("run", "--path", str(file), *args)
    assert answer.code == 1
    assert told in answer.err
    assert answer.err.startswith("Error: ")
    assert len(answer.err.splitlines()) == 1


def test_a_deployed_flow_has_what_it_was_given(
    shell: Shell, client: Client, flows: Path, pool: str
) -> None:
    name = unique("daily")
    answer = shell(
        *("deploy", f"{flows}:add", "--name", name, "--pool", pool, "--cron", "0 9 * * *"),
        *("--timezone", "Europe/Paris", "--param", "n=3", "--tag", "nightly", "--version", "7"),
        *("--job-variable", "stream_output=false", "--paused"),
    )
    assert answer.code == 0, answer
    assert f"penstock run add/{name} --watch" in answer.out
    found = client.read_deployment_by_name("add", name)
    assert (found.path, found.entrypoint) == (str(flows.parent), "flows.py:add")
    assert (found.work_pool_name, found.parameters, found.tags) == (pool, {"n": 3}, ["nightly"])
    assert (found.version, found.paused, found.description) == ("7", True, "Adds.")
    schedules = shell("deployment", "schedules", "ls", f"add/{name}")
    assert "cron 0 9 * * * Europe/Paris" in schedules.out


def test_a_deployment_runs_every_so_often_and_is_replaced_by_the_next(
    shell: Shell, flows: Path, pool: str
) -> None:
    name = unique("often")
    args = ("deploy", f"{flows}:add", "--name", name, "--pool", pool, "-o", "json")
    first = shell(*args, "--interval", "10m").json
    assert first["schedules"][0]["schedule"]["interval"] == 600
    second = shell(*args).json
    assert second["id"] == first["id"]
    assert second["schedules"] == []


@pytest.mark.parametrize(
    ("entrypoint", "told"),
    [
        ("flows.py", "file.py:function"),
        ("nowhere.py:add", "there is no file"),
        ("flows.py:nothing", "nothing"),
    ],
)
def test_an_entrypoint_that_leads_nowhere_is_one_line(
    shell: Shell, flows: Path, monkeypatch: pytest.MonkeyPatch, entrypoint: str, told: str
) -> None:
    monkeypatch.chdir(flows.parent)
    answer = shell("deploy", entrypoint, "--name", "n", "--pool", "p")
    assert answer.code == 1
    assert told in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_unknown_pool_and_a_bad_cron_are_one_line(shell: Shell, flows: Path, pool: str) -> None:
    unknown = shell("deploy", f"{flows}:add", "--name", "n", "--pool", unique("nowhere"))
    assert unknown.code == 1
    assert len(unknown.err.splitlines()) == 1
    bad = shell("deploy", f"{flows}:add", "--name", "n", "--pool", pool, "--cron", "every day")
    assert bad.code == 1
    assert "cron" in bad.err
    assert len(bad.err.splitlines()) == 1


def test_a_deployments_run_is_executed_here_and_no_worker_takes_it(
    shell: Shell, client: Client, flows: Path, pool: str
) -> None:
    name = unique("here")
    shell("deploy", f"{flows}:add", "--name", name, "--pool", pool, "--param", "n=4")
    answer = shell("run", f"add/{name}", "--execute", "--tag", "t", "--run-name", unique("run"))
    assert answer.code == 0, answer.err
    assert "ended Completed" in answer.out
    [run] = client.read_flow_runs(deployments={"name": {"any_": [name]}})
    assert (run.state_type, run.parameters) == ("COMPLETED", {"n": 4})
    types = [state.type for state in client.read_flow_run_states(run.id)]
    assert types == ["PENDING", "RUNNING", "COMPLETED"]


def test_a_deployments_run_that_fails_here_is_exit_code_1(
    shell: Shell, flows: Path, pool: str
) -> None:
    name = unique("here")
    shell("deploy", f"{flows}:fail", "--name", name, "--pool", pool)
    answer = shell("run", f"other flow/{name}", "--execute", "--output", "json")
    assert answer.code == 1
    assert answer.json["state_type"] == "FAILED"


def test_what_is_executed_here_neither_waits_nor_has_a_key(shell: Shell) -> None:
    for option in (("--start-in", "10s"), ("--idempotency-key", "k")):
        answer = shell("run", "a/b", "--execute", *option)
        assert (answer.code, answer.out) == (2, "")
        assert "here and now" in answer.err


def test_a_deployment_without_code_cannot_be_executed_here(shell: Shell, client: Client) -> None:
    flow, name = unique("flow"), unique("bare")
    client.create_deployment(name=name, flow_id=client.create_flow(flow))
    answer = shell("run", f"{flow}/{name}", "--execute")
    assert answer.code == 1
    assert "deploy it again" in answer.err
