"""Every wire shape equals the contract's schema of the same name."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypeAliasType, is_typeddict

from penstock.contract import enums, rest
from tests.contract.conformance import compare, enum, resolve

CONTRACT = json.loads(Path(__file__).with_name("openapi-v3.json").read_text())
SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]

TAGS = {
    "Flows",
    "Flow Runs",
    "Flow Run States",
    "Task Runs",
    "Task Run States",
    "Deployments",
    "Work Pools",
    "Work Queues",
    "Logs",
    "Events",
}

#: Our names of the bodies that the contract leaves unnamed.
BODIES = {
    "POST /deployments/bulk_delete": "DeploymentsBulkDeleteBody",
    "POST /deployments/count": "DeploymentsCountBody",
    "POST /deployments/filter": "DeploymentsFilterBody",
    "POST /deployments/get_scheduled_flow_runs": "DeploymentsScheduledFlowRunsBody",
    "POST /deployments/paginate": "DeploymentsPaginateBody",
    "POST /deployments/{id}/schedule": "DeploymentScheduleBody",
    "POST /events/count-by/{countable}": "EventsCountBody",
    "POST /events/filter": "EventsFilterBody",
    "POST /flow_runs/bulk_delete": "FlowRunsBulkDeleteBody",
    "POST /flow_runs/bulk_set_state": "FlowRunsBulkSetStateBody",
    "POST /flow_runs/count": "FlowRunsCountBody",
    "POST /flow_runs/filter": "FlowRunsFilterBody",
    "POST /flow_runs/history": "FlowRunHistoryBody",
    "POST /flow_runs/lateness": "FlowRunsLatenessBody",
    "POST /flow_runs/paginate": "FlowRunsPaginateBody",
    "POST /flow_runs/{id}/input": "FlowRunInputCreateBody",
    "POST /flow_runs/{id}/input/filter": "FlowRunInputFilterBody",
    "POST /flow_runs/{id}/resume": "FlowRunResumeBody",
    "POST /flow_runs/{id}/set_state": "FlowRunSetStateBody",
    "POST /flows/bulk_delete": "FlowsBulkDeleteBody",
    "POST /flows/count": "FlowsCountBody",
    "POST /flows/filter": "FlowsFilterBody",
    "POST /flows/paginate": "FlowsPaginateBody",
    "POST /logs/filter": "LogsFilterBody",
    "POST /task_runs/count": "TaskRunsCountBody",
    "POST /task_runs/filter": "TaskRunsFilterBody",
    "POST /task_runs/history": "TaskRunHistoryBody",
    "POST /task_runs/paginate": "TaskRunsPaginateBody",
    "POST /task_runs/{id}/set_state": "TaskRunSetStateBody",
    "POST /ui/flow_runs/count-task-runs": "UIFlowRunIdsBody",
    "POST /ui/flow_runs/history": "UIFlowRunHistoryBody",
    "POST /ui/flows/count-deployments": "UIFlowIdsBody",
    "POST /ui/flows/next-runs": "UIFlowIdsBody",
    "POST /ui/task_runs/count": "UITaskRunCountsBody",
    "POST /ui/task_runs/dashboard/counts": "UITaskRunDashboardBody",
    "POST /work_pools/count": "WorkPoolsCountBody",
    "POST /work_pools/filter": "WorkPoolsFilterBody",
    "POST /work_pools/{name}/concurrency_status": "WorkPoolConcurrencyStatusBody",
    "POST /work_pools/{name}/get_scheduled_flow_runs": "WorkPoolScheduledFlowRunsBody",
    "POST /work_pools/{work_pool_name}/queues/filter": "WorkQueuesFilterBody",
    "POST /work_pools/{work_pool_name}/workers/filter": "WorkersFilterBody",
    "POST /work_pools/{work_pool_name}/workers/heartbeat": "WorkerHeartbeatBody",
    "POST /work_queues/filter": "WorkQueuesFilterBody",
    "POST /work_queues/{id}/concurrency_status": "WorkQueueConcurrencyStatusBody",
    "POST /work_queues/{id}/get_runs": "WorkQueueRunsBody",
}

#: These lists are bounded where the contract says nothing, and say what an absent limit means.
OWN_DEFAULTS = {("limit", 200)}
#: A misspelt filter is refused where it would delete or change the wrong rows.
REFUSE_UNKNOWN_FIELDS = {
    "FlowsBulkDeleteBody",
    "FlowRunsBulkDeleteBody",
    "FlowRunsBulkSetStateBody",
    "DeploymentsBulkDeleteBody",
}


def _shapes() -> dict[str, Any]:
    found: dict[str, Any] = dict(vars(enums))
    for module in pkgutil.iter_modules(rest.__path__):
        for name, value in vars(importlib.import_module(f"{rest.__name__}.{module.name}")).items():
            is_model = isinstance(value, type) and issubclass(value, BaseModel)
            if is_model or is_typeddict(value) or isinstance(value, TypeAliasType):
                found[name] = value
    return found


SHAPES = _shapes()


def _in_scope(path: str, operation: dict[str, Any]) -> bool:
    ui = path.startswith(("/ui/flow_runs", "/ui/flows", "/ui/task_runs"))
    return ui or path == "/csrf-token" or bool(TAGS & set(operation.get("tags") or []))


def _reach(schema: Any, found: set[str]) -> None:
    if isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            _reach(SCHEMAS[name], found)
        for value in schema.values():
            _reach(value, found)
    elif isinstance(schema, list):
        for value in schema:
            _reach(value, found)


def _named_schemas() -> list[tuple[str, str]]:
    """(schema, direction) of everything that the operations in scope send or answer."""
    sent: set[str] = set()
    answered: set[str] = set()
    for path, operations in CONTRACT["paths"].items():
        for operation in operations.values():
            if _in_scope(path, operation):
                _reach(operation.get("requestBody", {}), sent)
                _reach([r for c, r in operation["responses"].items() if c < "3"], answered)
    return sorted(
        [(n, "in") for n in sent if not n.startswith("Body_")] + [(n, "out") for n in answered]
    )


def _schema(name: str, direction: str) -> tuple[dict[str, Any], dict[str, Any]]:
    shape = SHAPES[name.removesuffix("-Input").removesuffix("-Output")]
    schema = TypeAdapter(shape).json_schema(
        mode="validation" if direction == "in" else "serialization",
        ref_template="#/components/schemas/{model}",
    )
    return {"components": {"schemas": schema.pop("$defs", {})}}, schema


def _faults(wanted: dict[str, Any], name: str, direction: str) -> list[str]:
    document, got = _schema(name, direction)
    got = resolve(document, got)
    wanted = resolve(CONTRACT, wanted)
    faults: list[str] = []
    compare(CONTRACT, wanted, document, got, name, direction, faults)
    if set(wanted.get("required", [])) != set(got.get("required", [])):
        faults.append(f"required {got.get('required')}, not {wanted.get('required')}")
    if extra := set(got.get("properties", {})) - set(wanted.get("properties", {})):
        faults.append(f"further fields {sorted(extra)}")
    if enum(CONTRACT, wanted) != enum(document, got):
        faults.append("another enum")
    closed = wanted.get("additionalProperties") is False or name in REFUSE_UNKNOWN_FIELDS
    if closed != (got.get("additionalProperties") is False):
        faults.append(f"additionalProperties {got.get('additionalProperties')}")
    for field, schema in wanted.get("properties", {}).items():
        mine = got["properties"].get(field, {})
        if schema.get("default") != mine.get("default") and (
            "default" in schema or (field, mine["default"]) not in OWN_DEFAULTS
        ):
            faults.append(f"{field}: default {mine.get('default')}, not {schema.get('default')}")
        if bool(schema.get("deprecated")) != bool(mine.get("deprecated")):
            faults.append(f"{field}: deprecated")
    return faults


@pytest.mark.parametrize(("name", "direction"), _named_schemas())
def test_a_shape_equals_the_contracts_schema(name: str, direction: str) -> None:
    assert _faults(SCHEMAS[name], name, direction) == []


@pytest.mark.parametrize(("operation", "name"), sorted(BODIES.items()))
def test_a_body_equals_the_contracts_unnamed_one(operation: str, name: str) -> None:
    method, path = operation.split()
    body = CONTRACT["paths"][path][method.lower()]["requestBody"]
    assert _faults(body["content"]["application/json"]["schema"], name, "in") == []


def test_no_unnamed_body_is_forgotten() -> None:
    unnamed = set()
    for path, operations in CONTRACT["paths"].items():
        for method, operation in operations.items():
            if _in_scope(path, operation) and "Body_" in str(operation.get("requestBody")):
                unnamed.add(f"{method.upper()} {path}")
    assert unnamed == set(BODIES)


def test_every_body_can_stand_in_a_route() -> None:
    app = FastAPI()
    for operation, name in BODIES.items():

        def door(body: Any) -> None: ...

        door.__annotations__["body"] = SHAPES[name]
        app.post(f"/{operation.split()[1].replace('{', '').replace('}', '')}")(door)
    assert set(BODIES.values()) <= set(app.openapi()["components"]["schemas"])
