"""From a pool's base job template and the job variables of a run to what its process needs."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.worker.launch import Launch

if TYPE_CHECKING:
    from penstock.contract.rest.deployments import DeploymentResponse
    from penstock.contract.rest.flow_runs import FlowRun

Variables = Mapping[str, Any]

#: What a `process` pool is created with.
PROCESS_JOB_TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        key: "{{ " + key + " }}"
        for key in ("command", "env", "labels", "name", "stream_output", "working_dir")
    },
    "variables": {
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "title": "Name",
                "description": "Name given to the process of a run.",
            },
            "env": {
                "type": "object",
                "title": "Environment Variables",
                "description": "Set in the process of a run, beside the worker's own.",
                "additionalProperties": {"type": "string"},
            },
            "labels": {
                "type": "object",
                "title": "Labels",
                "description": "Labels of the process.",
                "additionalProperties": {"type": "string"},
            },
            "command": {
                "type": "string",
                "title": "Command",
                "description": "Executed in place of the flow; PENSTOCK_FLOW_RUN_ID names the run.",
            },
            "stream_output": {
                "type": "boolean",
                "title": "Stream Output",
                "description": "Show what the run prints in the worker's output.",
                "default": True,
            },
            "working_dir": {
                "type": "string",
                "title": "Working Directory",
                "description": "Where the process starts; the folder of the code by default.",
            },
        },
    },
}

#: Read by the interpreter or the loader before any of our code runs.
_READ_AT_START = re.compile(r"PYTHON|LD_|DYLD_")
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


@dataclass(frozen=True)
class Job:
    """What a worker does to execute one run."""

    launch: Launch
    stream_output: bool
    #: Kill the run after this many seconds; None for never.
    timeout_seconds: float | None


@dataclass(frozen=True)
class Surroundings:
    """What every job of a worker has in common."""

    #: The worker's own environment.
    environ: Mapping[str, str]
    #: The API that the run reports to.
    api_url: str


def make_job(
    flow_run: "FlowRun",
    deployment: "DeploymentResponse",
    template: Mapping[str, Any],
    attempt_id: UUID,
    surroundings: Surroundings,
) -> Job:
    """The job of a run. ValueError, with a message for the user, when it cannot be executed."""
    variables = merge_variables(
        _defaults(template), deployment.job_variables or {}, flow_run.job_variables or {}
    )
    configuration = apply_variables(
        template.get("job_configuration") or PROCESS_JOB_TEMPLATE["job_configuration"], variables
    )
    job_env = {str(key): value for key, value in (configuration.get("env") or {}).items()}
    env = _environment(job_env, deployment, surroundings)
    argv = _argv(configuration.get("command"), job_env, surroundings.environ)
    if argv is None and not deployment.entrypoint:
        raise ValueError("the deployment has no entrypoint: deploy it again with one")
    working_dir = configuration.get("working_dir") or _folder(deployment.path)
    run_env = {"PENSTOCK_FLOW_RUN_ID": str(flow_run.id), "PENSTOCK_ATTEMPT_ID": str(attempt_id)}
    return Job(
        Launch(deployment.path, deployment.entrypoint, env, run_env, working_dir, argv),
        stream_output=configuration.get("stream_output") is not False,
        timeout_seconds=_timeout(variables.get("timeout_seconds")),
    )


def merge_variables(*layers: Variables) -> dict[str, Any]:
    """Later layers win; `env` is merged name by name."""
    merged: dict[str, Any] = {}
    for layer in layers:
        env = {**(merged.get("env") or {}), **(layer.get("env") or {})}
        merged.update(layer)
        merged["env"] = env
    return merged


def apply_variables(value: Any, variables: Variables) -> Any:
    """`value` with its `{{ placeholders }}` filled in; one that stands alone keeps the variable's
    type, and is None without a variable.
    """
    if isinstance(value, dict):
        return {key: apply_variables(entry, variables) for key, entry in value.items()}
    if isinstance(value, list):
        return [apply_variables(entry, variables) for entry in value]
    if not isinstance(value, str):
        return value
    alone = _PLACEHOLDER.fullmatch(value.strip())
    if alone:
        return variables.get(alone[1])
    return _PLACEHOLDER.sub(lambda found: str(variables.get(found[1], "")), value)


def _defaults(template: Mapping[str, Any]) -> dict[str, Any]:
    properties = (template.get("variables") or {}).get("properties") or {}
    return {
        name: declared["default"] for name, declared in properties.items() if "default" in declared
    }


def _environment(
    job_env: Mapping[str, Any], deployment: "DeploymentResponse", surroundings: Surroundings
) -> dict[str, str]:
    env = {**surroundings.environ, "PENSTOCK_API_URL": surroundings.api_url}
    if deployment.entrypoint:
        env["PENSTOCK_FLOW_ENTRYPOINT"] = deployment.entrypoint
    if deployment.path:
        env["PENSTOCK_FLOW_PATH"] = deployment.path
    for name, value in job_env.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = str(value)
    return env


def _argv(
    command: Any, job_env: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str, ...] | None:
    """What to execute in place of a fork: the user's command, or a fresh interpreter when the
    environment asks for another one.
    """
    if command:
        return tuple(shlex.split(str(command)))
    if _differs("VIRTUAL_ENV", job_env, environ):
        python = os.path.join(str(job_env["VIRTUAL_ENV"]), "bin", "python")
        return (python, "-m", "penstock.worker.child")
    if any(_READ_AT_START.match(name) and _differs(name, job_env, environ) for name in job_env):
        return (sys.executable, "-m", "penstock.worker.child")
    return None


def _differs(name: str, job_env: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    return job_env.get(name) is not None and str(job_env[name]) != environ.get(name)


def _folder(path: str | None) -> str | None:
    return path if path and os.path.isdir(path) else None


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"the job variable timeout_seconds must be a positive number, not {value}")
    return seconds
