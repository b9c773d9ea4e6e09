"""`prefect init`, `prefect deploy` with a prefect.yaml, and schedules that the client changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tests.wire.v3.client import FLOWS, PrefectClient, Rest, until

pytestmark = pytest.mark.timeout(180)
Json = Any

PREFECT_YAML = """
name: wire
prefect-version: 3.8.8
build: null
push: null
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: {folder}
definitions:
  pool: &pool
    name: yaml
    work_queue_name: of-the-yaml
deployments:
  - name: nightly
    entrypoint: deployed.py:greet
    version: "{version}"
    tags: [yaml, nightly]
    description: says hello at night
    parameters: {{name: night}}
    work_pool: *pool
    schedules:
      - cron: "0 2 * * *"
        timezone: Europe/Berlin
        slug: at-night
      - interval: 3600
        anchor_date: "2026-01-01T00:00:00+00:00"
        slug: hourly
        active: {hourly}
      - rrule: "FREQ=DAILY;BYDAY=MO"
        slug: mondays
        parameters: {{name: monday}}
    concurrency_limit: {{limit: 2, collision_strategy: CANCEL_NEW}}
  - name: by-hand
    entrypoint: deployed.py:asks
    work_pool: {{name: yaml, job_variables: {{env: {{WIRE_VARIABLE: "1"}}}}}}
    enforce_parameter_schema: false
"""


def test_a_project_is_deployed_and_deployed_again(
    client: PrefectClient, rest: Rest, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    copy(FLOWS / "deployed.py", folder)
    with client.shell(cwd=folder) as shell:
        shell("init", "--recipe", "local", "--name", "wire")
        assert "deployments" in (folder / "prefect.yaml").read_text()
        write(folder, version="1", hourly="true")
        shell("work-pool", "create", "yaml", "--type", "process")
        shell("deploy", "--all")
        first = rest.get("/deployments/name/greet/nightly")
        the_deployment_is_kept(rest, first, folder)
        scheduled = {"deployment_id": {"any_": [first["id"]]}}
        planned = until(lambda: rest.runs(**scheduled), lambda runs: len(runs) >= 9)
        the_runs_are_planned(planned, first)
        write(folder, version="2", hourly="false")
        shell("deploy", "--name", "greet/nightly")
        again = rest.get("/deployments/name/greet/nightly")
        assert (again["id"], again["version"]) == (first["id"], "2")
        assert [s["slug"] for s in again["schedules"] if not s["active"]] == ["hourly"]
        hourly = next(s for s in again["schedules"] if s["slug"] == "hourly")
        # What the deploy of the second version deleted comes back without the paused schedule.
        until(lambda: rest.runs(**scheduled), lambda runs: {*whose(runs)} == others(again, hourly))
        the_client_changes_schedules(client, rest, shell, again)


def write(folder: Path, **values: str) -> None:
    """Write the project's prefect.yaml."""
    (folder / "prefect.yaml").write_text(PREFECT_YAML.format(folder=folder, **values))


def whose(runs: list[Json]) -> list[str]:
    """Which schedules the runs were made from."""
    return [run["created_by"]["id"] for run in runs if run["created_by"]]


def others(deployment: Json, but: Json) -> set[str]:
    """The deployment's schedules without one."""
    return {s["id"] for s in deployment["schedules"]} - {but["id"]}


def the_deployment_is_kept(rest: Rest, deployment: Json, folder: Path) -> None:
    assert (deployment["version"], sorted(deployment["tags"])) == ("1", ["nightly", "yaml"])
    assert deployment["description"] == "says hello at night"
    assert deployment["parameters"] == {"name": "night"}
    assert (deployment["work_pool_name"], deployment["work_queue_name"]) == ("yaml", "of-the-yaml")
    assert deployment["entrypoint"] == "deployed.py:greet"
    (step,) = deployment["pull_steps"]
    assert step["prefect.deployments.steps.set_working_directory"]["directory"] == str(folder)
    assert deployment["global_concurrency_limit"]["limit"] == 2
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert "name" in deployment["parameter_openapi_schema"]["properties"]
    asks = rest.get("/deployments/name/asks/by-hand")
    assert (asks["job_variables"], asks["schedules"]) == ({"env": {"WIRE_VARIABLE": "1"}}, [])
    assert asks["enforce_parameter_schema"] is False


def the_runs_are_planned(runs: list[Json], deployment: Json) -> None:
    slugs = {s["id"]: s["slug"] for s in deployment["schedules"]}
    times: dict[str, list[str]] = {slug: [] for slug in slugs.values()}
    for run in runs:
        assert run["auto_scheduled"]
        assert "auto-scheduled" in run["tags"]
        times[slugs[run["created_by"]["id"]]].append(run["expected_start_time"])
    assert all(len(times[slug]) >= 3 for slug in times), times
    assert all(len(set(found)) == len(found) for found in times.values()), times
    night = [datetime.fromisoformat(time) for time in times["at-night"]]
    assert {time.astimezone(UTC).hour for time in night} <= {0, 1}  # two o'clock in Berlin
    assert max(night) - min(night) >= timedelta(days=1)
    monday = [run for run in runs if run["created_by"]["display_value"] == "mondays"]
    assert {run["parameters"]["name"] for run in monday} == {"monday"}


def the_client_changes_schedules(
    client: PrefectClient, rest: Rest, shell: Any, deployment: Json
) -> None:
    facts = client.facts("scheduling.py", deployment["id"])
    assert facts == {"slugs": ["at-night", "hourly", "mondays"], "next": True, "left": 3}
    shell("deployment", "schedule", "pause", "greet/nightly", facts_of(deployment, "at-night"))
    kept = rest.get(f"/deployments/{deployment['id']}")["schedules"]
    active = {s["slug"]: s["active"] for s in kept}
    assert active == {"at-night": False, "hourly": True, "mondays": False}
    cron = next(s for s in kept if s["slug"] == "at-night")["schedule"]
    assert (cron["cron"], cron["timezone"]) == ("30 4 * * *", "Europe/Berlin")


def facts_of(deployment: Json, slug: str) -> str:
    """The id of a schedule."""
    return str(next(s["id"] for s in deployment["schedules"] if s["slug"] == slug))
