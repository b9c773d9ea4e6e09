"""Serving flows: deployments whose runs are executed by the program that serves them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.sdk.deployments import deploy, locate

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.flows import Flow


@dataclass(frozen=True)
class FlowDeployment:
    """A deployment that is not made yet: what `flow.to_deployment` gives, for `serve`."""

    flow: Flow[Any, Any]
    name: str
    #: those of `penstock.sdk.deployments.deploy`
    options: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, client: Client) -> UUID:
        """Creates or replaces the deployment and gives its id."""
        return deploy(self.flow, self.name, client=client, **self.options)


def to_deployment(flow: Flow[Any, Any], name: str | None, options: Mapping[str, Any]) -> Any:
    """The deployment of that name; without one the name of the flow's file."""
    if "work_pool_name" in options:
        raise TypeError("a served flow needs no work pool: use flow.deploy() for workers")
    return FlowDeployment(flow, name or Path(locate(flow)[1].rpartition(":")[0]).stem, options)


def serve(
    *deployments: FlowDeployment,
    limit: int = 100,
    pause_on_shutdown: bool = True,
    client: Client | None = None,
) -> None:
    """Makes the deployments and executes their runs, each in a process of its own, at most
    `limit` at once, until SIGINT or SIGTERM.

    Then it pauses the deployments' schedules (unless `pause_on_shutdown` is false), lets the runs
    end and returns; a second signal ends the runs too. Must be called in the main thread.
    """
    if not deployments:
        raise ValueError("give at least one deployment, as flow.to_deployment() makes it")
    # the worker is the floor above: only who serves needs it
    worker = importlib.import_module("penstock.worker.serving")
    worker.serve_deployments(
        deployments, limit=limit, pause_on_shutdown=pause_on_shutdown, client=client
    )
