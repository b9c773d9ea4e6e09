"""Flows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import (
    Fields,
    Id,
    deleted_ids,
    given,
    id_of,
    many,
    nothing,
    number,
    number_by_id,
    one,
    optional_by_id,
    quoted,
)
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.flows import Flow, FlowPaginationResponse
    from penstock.contract.rest.ui import SimpleNextFlowRun

FLOW = ("flows", "Flow")


def create_flow(
    name: str, *, tags: Sequence[str] | None = None, labels: Fields | None = None
) -> Call[uuid.UUID]:
    """Creates the flow, or finds the one with this name; gives its id."""
    return Call("POST", "/flows/", id_of, given(name=name, tags=tags, labels=labels))


def read_flow(flow_id: Id) -> Call[Flow]:
    """The flow with this id."""
    return Call("GET", f"/flows/{flow_id}", one(*FLOW))


def read_flow_by_name(name: str) -> Call[Flow]:
    """The flow with this name."""
    return Call("GET", f"/flows/name/{quoted(name)}", one(*FLOW))


def read_flows(**filter_body: Any) -> Call[list[Flow]]:
    """The flows that match `flows`, `flow_runs`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/flows/filter", many(*FLOW), filter_body)


def count_flows(**filter_body: Any) -> Call[int]:
    """How many flows match."""
    return Call("POST", "/flows/count", number, filter_body)


def update_flow(flow_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the flow."""
    return Call("PATCH", f"/flows/{flow_id}", nothing, fields)


def delete_flow(flow_id: Id) -> Call[None]:
    """Deletes the flow with its deployments and runs."""
    return Call("DELETE", f"/flows/{flow_id}", nothing)


def paginate_flows(**filter_body: Any) -> Call[FlowPaginationResponse]:
    """One `page` of the flows that match, with the count of all."""
    return Call("POST", "/flows/paginate", one("flows", "FlowPaginationResponse"), filter_body)


def bulk_delete_flows(**filter_body: Any) -> Call[list[uuid.UUID]]:
    """Deletes up to `limit` flows that match `flows`; gives their ids."""
    return Call("POST", "/flows/bulk_delete", deleted_ids, filter_body, repeatable=False)


def count_deployments_by_flow(flow_ids: Sequence[Id]) -> Call[dict[uuid.UUID, int]]:
    """How many deployments each flow has."""
    path = "/ui/flows/count-deployments"
    return Call("POST", path, number_by_id, {"flow_ids": flow_ids})


def next_runs_by_flow(flow_ids: Sequence[Id]) -> Call[dict[uuid.UUID, SimpleNextFlowRun | None]]:
    """The next scheduled run of each flow; None when there is none."""
    parse = optional_by_id("ui", "SimpleNextFlowRun")
    return Call("POST", "/ui/flows/next-runs", parse, {"flow_ids": flow_ids})
