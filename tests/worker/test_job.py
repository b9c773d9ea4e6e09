"""From job variables to the process of a run."""

import sys
from typing import Any
from uuid import UUID, uuid4

import pytest

from penstock.contract.rest.deployments import DeploymentResponse
from penstock.contract.rest.flow_runs import FlowRun
from penstock.worker.job import (
    PROCESS_JOB_TEMPLATE,
    Job,
    Surroundings,
    apply_variables,
    make_job,
    merge_variables,
)

ATTEMPT_ID = UUID(int=7)
SURROUNDINGS = Surroundings({"HOME": "/root", "PATH": "/bin"}, "http://127.0.0.1:4200/api")


def make(job_variables: dict[str, Any] | None = None, **fields: Any) -> Job:
    run = FlowRun.model_validate(
        {"id": UUID(int=1), "created": None, "updated": None, "flow_id": uuid4()}
    )
    deployment = DeploymentResponse.model_construct(
        **{
            "path": "/srv/flows",
            "entrypoint": "flows.py:main",
            "job_variables": job_variables or {},
            **fields,
        }
    )
    return make_job(run, deployment, PROCESS_JOB_TEMPLATE, ATTEMPT_ID, SURROUNDINGS)


def test_a_run_knows_itself_its_attempt_and_the_server() -> None:
    launch = make().launch
    assert launch.run_env == {
        "PENSTOCK_FLOW_RUN_ID": str(UUID(int=1)),
        "PENSTOCK_ATTEMPT_ID": str(ATTEMPT_ID),
    }
    assert launch.env["PENSTOCK_API_URL"] == SURROUNDINGS.api_url
    assert launch.env["HOME"] == "/root"


def test_runs_of_one_deployment_share_a_revision_and_other_environments_do_not() -> None:
    assert make().launch.revision == make().launch.revision
    assert make().launch.revision != make({"env": {"COLOUR": "red"}}).launch.revision


def test_a_variable_set_to_null_is_taken_out_of_the_environment() -> None:
    assert "HOME" not in make({"env": {"HOME": None}}).launch.env


def test_a_command_takes_the_place_of_the_flow() -> None:
    assert make({"command": "nice -n 5 'my prog'"}).launch.argv == ("nice", "-n", "5", "my prog")


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "LD_LIBRARY_PATH"])
def test_what_is_read_at_the_start_of_python_needs_a_fresh_interpreter(name: str) -> None:
    argv = make({"env": {name: "1"}}).launch.argv
    assert argv == (sys.executable, "-m", "penstock.worker.child")


def test_a_virtual_environment_brings_its_own_python() -> None:
    argv = make({"env": {"VIRTUAL_ENV": "/srv/venv"}}).launch.argv
    assert argv is not None
    assert argv[0] == "/srv/venv/bin/python"


def test_without_an_entrypoint_a_run_cannot_be_executed() -> None:
    with pytest.raises(ValueError, match="no entrypoint"):
        make(entrypoint=None)


@pytest.mark.parametrize("seconds", [0, -1, "soon"])
def test_a_time_out_must_be_a_positive_number(seconds: object) -> None:
    with pytest.raises(ValueError, match="must be a positive number"):
        make({"timeout_seconds": seconds})


def test_later_layers_win_and_environments_are_merged_name_by_name() -> None:
    merged = merge_variables(
        {"stream_output": True, "env": {"A": "1", "B": "1"}},
        {"env": {"B": "2"}},
        {"stream_output": False},
    )
    assert merged == {"stream_output": False, "env": {"A": "1", "B": "2"}}


def test_a_placeholder_that_stands_alone_keeps_the_type() -> None:
    template = {"a": "{{ env }}", "b": "x-{{ name }}-{{ none }}", "c": ["{{name}}"], "d": 5}
    applied = apply_variables(template, {"env": {"A": "1"}, "name": "n"})
    assert applied == {"a": {"A": "1"}, "b": "x-n-", "c": ["n"], "d": 5}
    assert apply_variables("{{ missing }}", {}) is None
