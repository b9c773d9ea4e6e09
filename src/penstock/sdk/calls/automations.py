"""Automations, of which a server has none yet."""

from __future__ import annotations

from typing import Any

from penstock.sdk.calls.answers import Fields, nothing, number, plain, quoted
from penstock.sdk.wire import Call


def create_automation(**fields: Any) -> Call[None]:
    """Refused: the server does not serve automations yet."""
    return Call("POST", "/automations/", nothing, fields, repeatable=False)


def read_automations(**filter_body: Any) -> Call[list[Fields]]:
    """The automations that match `automations`: none."""
    return Call("POST", "/automations/filter", plain, filter_body)


def count_automations(**filter_body: Any) -> Call[int]:
    """How many automations match: 0."""
    return Call("POST", "/automations/count", number, filter_body)


def read_automations_related_to(resource_id: str) -> Call[list[Fields]]:
    """The automations that have to do with a resource, such as `prefect.deployment.<id>`: none."""
    return Call("GET", f"/automations/related-to/{quoted(resource_id)}", plain)


def delete_automations_owned_by(resource_id: str) -> Call[None]:
    """Deletes the automations that belong to a resource, such as `prefect.deployment.<id>`."""
    return Call("DELETE", f"/automations/owned-by/{quoted(resource_id)}", nothing)
