"""`python -m bench.stages [--profile]`: where the time of a create and of a state change goes.

In one process, on SQLite, without HTTP and without waiting for the disk: microseconds of processor
time per run and stage. With `--profile` also the functions that take most (the figures above them
are then too high).
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from bench.bodies import PARAMETER_SCHEMA, run_fields, state_body
from penstock.api.routes import json_response
from penstock.contract.rest.deployments import DeploymentCreate
from penstock.contract.rest.flow_runs import DeploymentFlowRunCreate, FlowRunSetStateBody
from penstock.contract.rest.flows import FlowCreate
from penstock.operations import deployments, flow_run_states, flow_runs, flows
from penstock.store.engines import sqlite
from penstock.store.migrations import upgrade_sqlite
from penstock.store.statements import SQLITE
from penstock.store.transaction import Transaction

_CREATE = TypeAdapter(DeploymentFlowRunCreate)
_SET_STATE = TypeAdapter(FlowRunSetStateBody)
#: functions that `--profile` shows
SHOWN = 35


def stage(name: str, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Apply a function to all items, print what one took; the results."""
    began = time.process_time()
    results = [function(item) for item in items]
    spent = time.process_time() - began
    print(f"{name:<22}{spent / len(items) * 1e6:8.1f} us")
    return results


class _Stages:
    """A fresh database with one deployment, and the stages of requests to it."""

    def __init__(self, file: Path, runs: int) -> None:
        upgrade_sqlite(file)
        self._connection = sqlite.connect(file)
        self._memory: dict[Any, Any] = {}
        self._runs = runs
        with self._unit() as tx:
            self._deployment_id = _deployment(tx)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _transaction(self) -> Transaction:
        return Transaction(self._connection, SQLITE, self._memory, None)

    @contextmanager
    def _unit(self) -> Iterator[Transaction]:
        self._connection.execute("BEGIN")
        yield self._transaction()
        self._connection.execute("COMMIT")

    def create(self) -> list[UUID]:
        """Create the runs; their ids."""
        raws = [orjson.dumps(run_fields()) for _ in range(self._runs)]
        bodies = stage("create: validate", _CREATE.validate_json, raws)
        prepared = stage("create: prepare", self._prepare, bodies)
        with self._unit() as tx:
            made = stage("create: unit", lambda p: flow_runs.create_flow_run(tx, p), prepared)
        stage("create: answer", lambda run: json_response(run[0], 201), made)
        return [run[0]["id"] for run in made]

    def _prepare(self, body: Any) -> Any:
        now = datetime.now(UTC)
        tx = self._transaction()
        return flow_runs.prepare_flow_run_of_deployment(tx, self._deployment_id, body, now)

    def set_state(self, ids: list[UUID], state_type: str) -> None:
        """Propose a state for each run."""
        bodies = stage(f"{state_type}: validate", _SET_STATE.validate_json, _raws(state_type, ids))
        with self._unit() as tx:

            def propose(item: tuple[UUID, Any]) -> Any:
                now = datetime.now(UTC)
                proposed = flow_run_states.proposed_state(item[1].state, now)
                # The runs are due in an hour: PENDING would be told to wait.
                force = state_type == "PENDING"
                return flow_run_states.set_flow_run_state(tx, item[0], proposed, now, force=force)

            done = stage(f"{state_type}: unit", propose, list(zip(ids, bodies, strict=True)))
        stage(f"{state_type}: answer", lambda answer: json_response(answer[0], 201), done)


def _raws(state_type: str, ids: list[UUID]) -> list[bytes]:
    return [state_body(state_type)] * len(ids)


def _deployment(tx: Transaction) -> UUID:
    now = datetime.now(UTC)
    flow, _ = flows.create_flow(tx, FlowCreate(name="stages"), now)
    fields = {
        "name": "stages",
        "flow_id": flow["id"],
        "work_queue_name": "stages",
        "tags": ["bench"],
        "parameters": {"options": {}},
        "parameter_openapi_schema": PARAMETER_SCHEMA,
        "enforce_parameter_schema": True,
    }
    body = DeploymentCreate.model_validate(fields)
    id, _ = deployments.create_deployment(tx, deployments.prepare_deployment(tx, body, now))
    return id


def main() -> None:
    """Print the stages, and the profile where it is wanted."""
    p = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    p.add_argument("--runs", type=int, default=2000)
    p.add_argument("--profile", action="store_true")
    a = p.parse_args()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(prefix="penstock-stages-") as folder:
        stages = _Stages(Path(folder) / "penstock.db", a.runs)
        if a.profile:
            profile.enable()
        ids = stages.create()
        for state_type in ("PENDING", "RUNNING", "COMPLETED"):
            stages.set_state(ids, state_type)
        profile.disable()
        stages.close()
    if a.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)


if __name__ == "__main__":
    main()
