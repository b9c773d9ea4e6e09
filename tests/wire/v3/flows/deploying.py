"""`deploying.py POOL FOLDER` deploys the flows of FOLDER/deployed.py to a work pool."""

import json
import sys

from prefect import flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.schedules import Cron, Interval

POOL, FOLDER = sys.argv[1], sys.argv[2]


def deploy(name: str, deployment: str = "deployed", **options: object) -> str:
    """Deploy one flow; the deployment's id."""
    source = flow.from_source(source=FOLDER, entrypoint=f"deployed.py:{name}")
    return str(source.deploy(deployment, work_pool_name=POOL, **options))


def main() -> None:
    every_day = [Cron("0 6 * * *", timezone="Europe/Berlin"), Interval(86400)]
    ids = {name: deploy(name) for name in ("asks", "calls", "sleeps", "fails_once")}
    first = deploy("greet", tags=["a"], description="the first")
    ids["greet"] = deploy("greet", tags=["b"], schedules=every_day, parameters={"name": "pool"})
    ids["one"] = deploy("sleeps", "one-at-a-time", concurrency_limit=1)
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    ids["none"] = deploy("sleeps", "no-second", concurrency_limit=limit)
    print(json.dumps({"ids": ids, "same": first == ids["greet"]}))


if __name__ == "__main__":
    main()
