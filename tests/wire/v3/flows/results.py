"""Results that are kept, cache policies, transactions; `results.py read RUN` reads one back."""

import json
import sys
from datetime import timedelta
from typing import Any

from prefect import flow, get_client, task
from prefect.cache_policies import INPUTS, NO_CACHE, TASK_SOURCE
from prefect.filesystems import LocalFileSystem
from prefect.futures import wait
from prefect.runtime import flow_run
from prefect.transactions import get_transaction, transaction

CALLS: list[str] = []
LOG: list[str] = []
IDS: dict[str, str] = {}


def called(what: str) -> None:
    CALLS.append(what)


@task(cache_policy=INPUTS, persist_result=True)
def by_inputs(a: int) -> int:
    called(f"by_inputs {a}")
    return a * 2


@task(cache_policy=INPUTS + TASK_SOURCE, cache_expiration=timedelta(hours=1), persist_result=True)
def expiring(a: int) -> int:
    called(f"expiring {a}")
    return a * 3


@task(cache_key_fn=lambda context, parameters: "one-key", persist_result=True)
def by_key(a: int) -> int:
    called(f"by_key {a}")
    return a


@task(cache_policy=INPUTS, refresh_cache=True, persist_result=True)
def refreshed(fresh: int) -> int:
    called(f"refreshed {fresh}")
    return fresh


@task(cache_policy=NO_CACHE)
def uncached(a: int) -> int:
    called(f"uncached {a}")
    return a


@task(persist_result=True, result_serializer="json", result_storage_key="kept-{parameters[a]}")
def stored(a: int) -> dict[str, int]:
    return {"a": a}


@flow(persist_result=True, result_serializer="json")
def cached() -> dict[str, Any]:
    IDS["cached"] = flow_run.id
    states = [by_inputs(1, return_state=True), by_inputs(1, return_state=True)]
    futures = [by_inputs.submit(2)]
    wait(futures)
    futures.append(by_inputs.submit(2))
    return {
        "states": [[s.type.value, s.name, s.result()] for s in states],
        "futures": [future.result() for future in futures],
        "expiring": [expiring(1), expiring(1), expiring(2)],
        "by_key": [by_key(1), by_key(2)],
        "refreshed": [refreshed(1), refreshed(1)],
        "uncached": [uncached(1), uncached(1)],
        "stored": stored(9),
    }


@task
def write(name: str) -> str:
    LOG.append(f"write {name}")
    return name


@write.on_rollback
def unwrite(txn: Any) -> None:
    LOG.append(f"unwrite {txn.get('note')}")


@write.on_commit
def committed(txn: Any) -> None:
    LOG.append("commit")


@flow
def rolls_back() -> None:
    IDS["rolls_back"] = flow_run.id
    with transaction() as txn:
        txn.set("note", "from the flow")
        write("first")
        raise ValueError("after the first")


@flow
def commits() -> None:
    IDS["commits"] = flow_run.id
    with transaction():
        write("second")
        current = get_transaction()
        LOG.append("inside" if current is not None else "outside")


def main() -> None:
    facts: dict[str, Any] = {"cached": cached(), "again": cached()}
    facts["calls"] = CALLS
    facts["rolled back"] = rolls_back(return_state=True).type.value
    facts["committed"] = commits(return_state=True).type.value
    block = LocalFileSystem(basepath="elsewhere")
    block.save("results", overwrite=True)
    in_block = cached.with_options(name="in a block", result_storage=block)
    facts["in a block"] = in_block()["stored"]
    facts["log"], facts["ids"] = LOG, IDS
    print(json.dumps(facts))


def read(run_id: str) -> None:
    """The result of a flow run of another process."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    assert run.state is not None
    print(json.dumps(run.state.result()))


if __name__ == "__main__":
    read(sys.argv[2]) if sys.argv[1:2] == ["read"] else main()
