"""`python -m penstock.worker --pool P`: a worker without the CLI."""

import argparse
import sys

from penstock.worker import WorkerOptions, run_worker


def main() -> int:
    """Parse the options and work; 1 with one line on stderr when the worker cannot start."""
    from penstock.sdk.errors import PenstockError

    try:
        return run_worker(_options())
    except PenstockError as error:
        print(error, file=sys.stderr)
        return 1


def _options() -> WorkerOptions:
    defaults = WorkerOptions(pool="")
    parser = argparse.ArgumentParser(prog="python -m penstock.worker")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--queue", action="append", default=[], dest="queues")
    parser.add_argument("--name")
    parser.add_argument("--limit", type=int, default=defaults.limit)
    parser.add_argument("--type", default=defaults.type)
    parser.add_argument(
        "--create-pool-if-missing", action=argparse.BooleanOptionalAction, default=True
    )
    parser.add_argument("--grace-seconds", type=float, default=defaults.grace_seconds)
    parser.add_argument("--warm-flows", type=int, default=defaults.warm_flows)
    found = parser.parse_args()
    return WorkerOptions(**{**vars(found), "queues": tuple(found.queues)})


if __name__ == "__main__":
    sys.exit(main())
