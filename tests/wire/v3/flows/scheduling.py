"""`scheduling.py DEPLOYMENT` changes the schedules of a deployment through the client's API."""

import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule


def main(deployment_id: UUID) -> None:
    facts: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment(deployment_id)
        schedules = {s.slug: s for s in deployment.schedules}
        facts["slugs"] = sorted(slug for slug in schedules if slug)
        night = CronSchedule(cron="30 4 * * *", timezone="Europe/Berlin")
        client.update_deployment_schedule(
            deployment_id, schedules["at-night"].id, active=True, schedule=night
        )
        client.update_deployment_schedule(deployment_id, schedules["hourly"].id, active=True)
        client.update_deployment_schedule(deployment_id, schedules["mondays"].id, active=False)
        chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        runs = client.read_flow_runs(deployment_filter=chosen)
        now = datetime.now(UTC)
        facts["next"] = all((run.expected_start_time or now) >= now for run in runs)
        (made,) = client.create_deployment_schedules(
            deployment_id, [(IntervalSchedule(interval=60), True)]
        )
        client.delete_deployment_schedule(deployment_id, made.id)
        client.pause_deployment(deployment_id)
        assert client.read_deployment(deployment_id).paused
        client.resume_deployment(deployment_id)
        facts["left"] = len(client.read_deployment_schedules(deployment_id))
    print(json.dumps(facts))


if __name__ == "__main__":
    main(UUID(sys.argv[1]))
