"""`serving.py FOLDER` serves flows of `deployed.py` until it is interrupted."""

import sys
from datetime import timedelta

from deployed import asks, greet, sleeps
from prefect import serve

if __name__ == "__main__":
    name = sys.argv[1]
    if name == "one":
        greet.serve("alone", tags=["served"], parameters={"name": "served"}, cron="0 3 * * *")
    else:
        serve(
            greet.to_deployment("served", interval=timedelta(days=1), version="2"),
            asks.to_deployment("served"),
            sleeps.to_deployment("served"),
        )
